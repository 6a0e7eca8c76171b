"""Progress, docstrings and random generators, which every part may use."""

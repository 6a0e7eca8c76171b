"""What methods with networks share: the fit, its initial partition and settings, codes."""

"""What all methods with networks share: the fit, its start and settings, predictions, codes."""

"""What people import: parameters and predictions, and the fit that they share."""

"""Building blocks of the models: networks, likelihoods, codes, regularization, base classes."""

"""Building blocks of the models: networks, the game they play, the autoencoder that pretrains."""

"""Building blocks of the models: networks, the game they play, the auto-encoder that pretrains."""

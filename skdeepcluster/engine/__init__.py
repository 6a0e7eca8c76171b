"""The training loop and the one door between arrays and tensors."""

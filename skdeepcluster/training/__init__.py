"""The training loop, and the conversion between arrays and tensors."""

"""Networks of adversarial games, which are in ``networks``: files and pickles name this path."""

from .networks import GaussianNoise, conv_discriminator, conv_generator, normalised_mlp

__all__ = ["GaussianNoise", "conv_discriminator", "conv_generator", "normalised_mlp"]

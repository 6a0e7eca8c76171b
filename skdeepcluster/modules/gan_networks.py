"""Networks of adversarial games, under the name they had first; they are in ``networks``."""

from .networks import GaussianNoise, conv_discriminator, conv_generator, normalised_mlp

__all__ = ["GaussianNoise", "conv_discriminator", "conv_generator", "normalised_mlp"]

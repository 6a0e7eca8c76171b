"""Networks, augmentations and likelihoods, and the base classes of models."""

from .augmentation import RandomAffine, RandomFlip, RandomShift
from .networks import (
    conv_classifier,
    conv_decoder,
    conv_discriminator,
    conv_encoder,
    conv_generator,
)

__all__ = [
    "RandomAffine",
    "RandomFlip",
    "RandomShift",
    "conv_classifier",
    "conv_decoder",
    "conv_discriminator",
    "conv_encoder",
    "conv_generator",
]

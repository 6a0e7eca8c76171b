"""Augmentation of images: other versions of samples that belong to the same clusters.

An estimator calls ``augment(x)`` with the samples of a step, (N, D) in the units of the data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..functional import random


@dataclass(frozen=True)
class RandomAffine:
    """Random rotations, scales and shifts of images stored as flat samples.

    Angle, scale and shift are uniform and independent for each image (affine distortions of
    digits: P. Y. Simard, D. Steinkraus, J. C. Platt, ICDAR 2003). Values between pixels are
    interpolated linearly; beyond the border they are the nearest on it. Use it as
    ``augment=RandomAffine((1, 28, 28))``.

    Parameters
    ----------
    image_shape : (channels, height, width)
        Shape of the image.
    degrees : float, default=10.0
        Maximum angle to either side.
    translate : float, default=0.07
        Maximum shift to either side, as a share of width and height.
    scale : float, default=0.1
        Maximum change of the size, below 1: from 1 - scale to 1 + scale.

    Notes
    -----
    It suits :class:`~skdeepcluster.CatGANClustering` and
    :class:`~skdeepcluster.InfoGANClustering`, whose networks classify samples. The density of
    :class:`~skdeepcluster.VaDEClustering` becomes the density of the changed images.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.modules.augmentation import RandomAffine
    >>> RandomAffine((1, 28, 28))(torch.rand(3, 784)).shape
    torch.Size([3, 784])
    >>> RandomAffine((1, 2, 2), degrees=0, translate=0, scale=0)(torch.tensor([[1.0, 2, 3, 4]]))
    tensor([[1., 2., 3., 4.]])
    """

    image_shape: tuple[int, int, int]
    degrees: float = 10.0
    translate: float = 0.07
    scale: float = 0.1

    def __post_init__(self) -> None:
        if len(self.image_shape) != 3:
            raise ValueError(
                "image_shape must be (channels, height, width), such as (1, 28, 28), "
                f"got {tuple(self.image_shape)}."
            )
        if not 0 <= self.scale < 1:
            raise ValueError(f"scale must be at least 0 and below 1, got {self.scale}.")

    def __call__(self, x: Tensor) -> Tensor:
        """Return a random version of each image, (N, D)."""
        n_values = math.prod(self.image_shape)
        if x.shape[1] != n_values:
            raise ValueError(
                f"X has {x.shape[1]} features, but RandomAffine expects images of "
                f"shape {tuple(self.image_shape)}, which are {n_values}."
            )
        uniform = 2 * random.rand((len(x), 4), x.device, x.dtype) - 1
        angle = math.radians(self.degrees) * uniform[:, 0]
        size = 1 + self.scale * uniform[:, 1]
        shift = self.translate * uniform[:, 2:]
        return move_images(x, self.image_shape, angle, size, shift)


def move_images(
    x: Tensor,
    image_shape: tuple[int, int, int],
    angle: Tensor,
    size: Tensor,
    shift: Tensor,
) -> Tensor:
    """Rotate flat images (N, D) about their center, scale and shift them, (N, D).

    Angles (N,) are in radians, counterclockwise; sizes (N,) are factors; shifts (N, 2) to the
    right and down are shares of width and height.
    """
    images = x.view(-1, *image_shape)
    _, height, width = image_shape

    # The place in the old image of each pixel of the new one, in half widths from the center.
    cos = angle.cos() / size
    sin = angle.sin() / size
    entries = [cos, -sin * height / width, sin * width / height, cos]
    turn = torch.stack(entries, 1).view(-1, 2, 2)
    origin = -2 * turn @ shift[:, :, None]
    maps = torch.cat([turn, origin], 2)
    places = affine_grid(maps, list(images.shape), align_corners=False)

    moved = grid_sample(images, places, padding_mode="border", align_corners=False)
    return moved.flatten(1)

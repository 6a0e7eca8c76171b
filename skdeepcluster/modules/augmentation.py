"""Augmentation: other versions of rows that belong to the same clusters, drawn in every step.

An estimator calls ``augment(x)`` with the rows of a step, (N, D) in the units of the data, and
trains on what it returns.

Reference: P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural
Networks Applied to Visual Document Analysis", ICDAR 2003 (affine distortions of digits).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..functional import random


@dataclass(frozen=True)
class RandomAffine:
    """Random rotations, scales and shifts of images stored as flat rows.

    Angle, scale and shift are uniform and independent for each image; values between pixels are
    interpolated linearly, and those beyond the border are the nearest on it. Use it as
    ``augment=RandomAffine((1, 28, 28))`` where images so changed are still of the same kind.

    Parameters
    ----------
    image_shape : (channels, height, width)
        How a row is an image.
    degrees : float, default=10.0
        Greatest angle to either side.
    translate : float, default=0.07
        Greatest shift to either side, as a share of the width and of the height.
    scale : float, default=0.1
        Greatest change of the size: from 1 - scale to 1 + scale, below 1.

    Raises
    ------
    ValueError
        When a row of X has not as many features as the image.

    See Also
    --------
    skdeepcluster.CatGANClustering : Takes it as ``augment``, as the other networks do.
    skdeepcluster.modules.networks.conv_encoder : A network for images.

    Notes
    -----
    On MNIST :class:`~skdeepcluster.CatGANClustering` and
    :class:`~skdeepcluster.InfoGANClustering` gain by it, whose networks classify rows, on
    Fashion-MNIST they do not; :class:`~skdeepcluster.VaDEClustering` loses, whose density becomes
    that of the changed images.

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
                "image_shape must be (channels, height, width), for instance (1, 28, 28), got "
                f"{tuple(self.image_shape)}."
            )
        if not 0 <= self.scale < 1:
            raise ValueError(f"scale must be at least 0 and below 1, got {self.scale}.")

    def __call__(self, x: Tensor) -> Tensor:
        """Draw another version of each image (N, D), (N, D)."""
        if x.shape[1] != math.prod(self.image_shape):
            raise ValueError(
                f"X has {x.shape[1]} features, but RandomAffine expects images of shape "
                f"{tuple(self.image_shape)}, which are {math.prod(self.image_shape)}."
            )
        draws = 2 * random.rand((len(x), 4), x.device, x.dtype) - 1
        angle = math.radians(self.degrees) * draws[:, 0]
        size = 1 + self.scale * draws[:, 1]
        return move_images(x, self.image_shape, angle, size, self.translate * draws[:, 2:])


def move_images(
    x: Tensor, image_shape: tuple[int, int, int], angle: Tensor, size: Tensor, shift: Tensor
) -> Tensor:
    """Rotate flat images (N, D) about their center, scale and shift them, (N, D).

    Parameters
    ----------
    x : Tensor of shape (N, D)
    image_shape : (channels, height, width)
    angle : Tensor of shape (N,)
        In radians, counterclockwise.
    size : Tensor of shape (N,)
        Factor of the size.
    shift : Tensor of shape (N, 2)
        To the right and down, as shares of width and height.

    Returns
    -------
    Tensor of shape (N, D)

    Examples
    --------
    >>> import torch
    >>> one = torch.ones(1)
    >>> image = torch.tensor([[1.0, 2, 3, 4]])
    >>> turned = move_images(image, (1, 2, 2), torch.pi / 2 * one, one, torch.zeros(1, 2))
    >>> turned.round().view(2, 2)
    tensor([[2., 4.],
            [1., 3.]])
    """
    channels, height, width = image_shape
    # For each pixel of the new image its place in the old one, in half widths from the center.
    cos, sin = angle.cos() / size, angle.sin() / size
    turn = torch.stack([cos, -sin * height / width, sin * width / height, cos], 1).view(-1, 2, 2)
    origin = -2 * turn @ shift[:, :, None]
    places = affine_grid(
        torch.cat([turn, origin], 2), [len(x), channels, height, width], align_corners=False
    )
    images = x.view(-1, channels, height, width)
    moved = grid_sample(images, places, padding_mode="border", align_corners=False)
    return moved.reshape(len(x), -1)

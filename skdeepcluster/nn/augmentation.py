"""Augmentation of images and series: other versions of samples that belong to the same clusters.

An estimator calls ``augment(x)`` with samples (N, D) in the units of the data, in training and in
the search for neighbors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from ..functional.points import uniform_points
from ..input.parameters import read_image_shape
from .runtime import rand


def check_versions(x: Tensor, changed: Any) -> None:
    """Check that other versions of samples x (N, D) have their shape."""
    shape = np.shape(changed)
    if shape != x.shape:
        raise ValueError(
            f"augment must return a tensor of shape {tuple(x.shape)}, but returned "
            f"{type(changed).__name__} of shape {shape}."
        )


@dataclass(frozen=True)
class RandomAffine:
    """Random rotations, scales and shifts of images stored as flat samples.

    Angle, scale and shift are uniform and independent for each image (affine distortions of
    digits: P. Y. Simard, D. Steinkraus, J. C. Platt, ICDAR 2003). Values between pixels are
    interpolated linearly; beyond the border they are the nearest on it. Use it as
    ``augment=RandomAffine((1, 28, 28))``.

    Parameters
    ----------
    image_shape : (channels, height, width) or (height, width)
        Shape of the images.
    degrees : float, default=10.0
        Maximum angle to either side.
    translate : float, default=0.07
        Maximum shift to either side, as a share of width and height.
    scale : float, default=0.1
        Maximum change of the size, below 1: from 1 - scale to 1 + scale.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.nn.augmentation import RandomAffine
    >>> RandomAffine((1, 28, 28))(torch.rand(3, 784)).shape
    torch.Size([3, 784])
    >>> RandomAffine((1, 2, 2), degrees=0, translate=0, scale=0)(torch.tensor([[1.0, 2, 3, 4]]))
    tensor([[1., 2., 3., 4.]])
    """

    image_shape: tuple[int, ...]
    degrees: float = 10.0
    translate: float = 0.07
    scale: float = 0.1

    def __post_init__(self) -> None:
        read_image_shape(self.image_shape)
        if not 0 <= self.scale < 1:
            raise ValueError(f"scale must be at least 0 and below 1, got {self.scale}.")

    def __call__(self, x: Tensor) -> Tensor:
        """Return a random version of each image, (N, D)."""
        return self._move(x, rand((len(x), 4), x.device, x.dtype))

    def list_transforms(
        self, n_transforms: int, seed: int
    ) -> list[Callable[[Tensor], Tensor]]:
        """Return linear functions that change all images in the same way.

        Parameters
        ----------
        n_transforms : int
            Number of functions. Their angles, scales and shifts are quasi-random, so that
            they are spread evenly.
        seed : int
            Determines the functions.

        Returns
        -------
        list of callable
            From tensors (N, D) to tensors (N, D).
        """
        uniform = uniform_points(n_transforms, 4, seed).float()
        return [partial(self._move, uniform=row) for row in uniform[:, None]]

    def _move(self, x: Tensor, uniform: Tensor) -> Tensor:
        """Rotate counterclockwise, scale and shift, by numbers in [0, 1], (N, 4) or (1, 4)."""
        images = _to_images(x, self.image_shape)
        uniform = (2 * uniform - 1).to(x.dtype).expand(len(x), 4)
        angle = math.radians(self.degrees) * uniform[:, 0]
        size = 1 + self.scale * uniform[:, 1]
        shift = self.translate * uniform[:, 2:]  # to the right and down

        # The place in the old image of each pixel of the new one, in half widths from the center.
        height, width = images.shape[2:]
        cos = angle.cos() / size
        sin = angle.sin() / size
        entries = [cos, -sin * height / width, sin * width / height, cos]
        turn = torch.stack(entries, 1).view(-1, 2, 2)
        origin = -2 * turn @ shift[:, :, None]
        maps = torch.cat([turn, origin], 2)

        places = affine_grid(maps, list(images.shape), align_corners=False)
        moved = grid_sample(images, places, padding_mode="border", align_corners=False)
        return moved.flatten(1)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror images, stored as flat samples, left to right, every second one at random.

    Use it as ``augment=RandomFlip((3, 32, 32))``.

    Parameters
    ----------
    image_shape : (channels, height, width) or (height, width)
        Shape of the images.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.nn.augmentation import RandomFlip
    >>> flip = RandomFlip((1, 1, 3)).list_transforms(1, seed=0)[0]
    >>> flip(torch.tensor([[1.0, 2, 3]]))
    tensor([[3., 2., 1.]])
    """

    image_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        read_image_shape(self.image_shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Return each image as it is or mirrored, (N, D)."""
        is_flipped = rand((len(x), 1), x.device, x.dtype) < 0.5
        return torch.where(is_flipped, self._flip(x), x)

    def list_transforms(
        self, n_transforms: int, seed: int
    ) -> list[Callable[[Tensor], Tensor]]:
        """Return ``n_transforms`` times the function that mirrors all images.

        Parameters
        ----------
        n_transforms : int
            Number of functions.
        seed : int
            Ignored.

        Returns
        -------
        list of callable
            From tensors (N, D) to tensors (N, D).
        """
        return [self._flip] * n_transforms

    def _flip(self, x: Tensor) -> Tensor:
        return _to_images(x, self.image_shape).flip(-1).flatten(1)


def _to_images(x: Tensor, image_shape: tuple[int, ...]) -> Tensor:
    """Return flat samples (N, D) as images (N, channels, height, width)."""
    return x.view(-1, *read_image_shape(image_shape, x.shape[1]))


@dataclass(frozen=True)
class RandomShift:
    """Random shifts of series stored as flat samples.

    A shift is uniform and independent for each series. Use it as ``augment=RandomShift(0.3)``.

    Parameters
    ----------
    max_shift : float, default=0.1
        Maximum shift to either side, as a share of the length, at most 1.
    wrap : bool, default=False
        Whether values that leave one end enter at the other, as for periodic series. False:
        the end that becomes free has the value at the border.
    n_channels : int, default=1
        Number of series in a sample, all of the same length, one after the other. They are
        shifted together.

    Examples
    --------
    >>> import torch
    >>> from skdeepcluster.nn.augmentation import RandomShift
    >>> shift = RandomShift(0.5)
    >>> shift(torch.rand(3, 100)).shape
    torch.Size([3, 100])
    >>> later, earlier = RandomShift(0.25, wrap=True).list_transforms(2, seed=0)
    >>> later(torch.tensor([[1.0, 2, 3, 4]])), earlier(torch.tensor([[1.0, 2, 3, 4]]))
    (tensor([[4., 1., 2., 3.]]), tensor([[2., 3., 4., 1.]]))
    """

    max_shift: float = 0.1
    wrap: bool = False
    n_channels: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.max_shift <= 1:
            raise ValueError(
                f"max_shift must be between 0 and 1, got {self.max_shift}."
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Return a random version of each series, (N, D)."""
        return self._move(x, rand((len(x), 1), x.device, x.dtype))

    def list_transforms(
        self, n_transforms: int, seed: int
    ) -> list[Callable[[Tensor], Tensor]]:
        """Return linear functions that each shift all series by one of evenly spaced amounts.

        Parameters
        ----------
        n_transforms : int
            Number of functions.
        seed : int
            Ignored: the shifts are evenly spaced.

        Returns
        -------
        list of callable
            From tensors (N, D) to tensors (N, D).
        """
        n_steps = -(-n_transforms // 2)
        steps = torch.arange(1, n_steps + 1, dtype=torch.float32, device="cpu")
        both = torch.stack([steps, -steps], 1).flatten()[:n_transforms]
        levels = (1 + both / n_steps) / 2
        return [partial(self._move, level=level) for level in levels.view(-1, 1, 1)]

    def _move(self, x: Tensor, level: Tensor) -> Tensor:
        """Shift series by levels from 0, to the left, to 1, to the right, (N, 1) or (1, 1)."""
        length, rest = divmod(x.shape[1], self.n_channels)
        if rest:
            raise ValueError(
                f"X has {x.shape[1]} features, which are not {self.n_channels} series of the same "
                "length. Set n_channels."
            )
        shift = ((2 * level - 1) * self.max_shift * length).round().long()
        places = torch.arange(length, device=x.device) - shift
        places = places % length if self.wrap else places.clamp(0, length - 1)
        series = x.view(len(x), self.n_channels, length)
        places = places[:, None].expand(series.shape)
        return series.gather(2, places).flatten(1)

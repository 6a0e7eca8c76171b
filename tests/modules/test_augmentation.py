"""Augmentation of rows in training, and that of images."""

import math

import numpy as np
import pytest
import torch
from common import CLASSIFIERS, DEEP, brief, name
from sklearn.base import clone
from torch import Tensor

from skdeepcluster import CatGANClustering, InfoGANClustering
from skdeepcluster.functional.random import Stream, drawing_from
from skdeepcluster.modules import augmentation
from skdeepcluster.modules.augmentation import RandomAffine, RandomFlip, move_images

SHAPE = (2, 6, 9)  # not square, two channels
ONE, STILL = torch.ones(1), torch.zeros(1, 2)
SQUARE = (1, 8, 8)


@pytest.fixture
def image():
    return torch.rand(1, math.prod(SHAPE), generator=torch.Generator().manual_seed(0))


# ---- images


def test_a_quarter_turn_is_that_of_torch():
    square = torch.arange(32.0).view(1, 32)
    found = move_images(square, (2, 4, 4), torch.pi / 2 * ONE, ONE, STILL)
    expected = torch.rot90(square.view(2, 4, 4), 1, (1, 2)).reshape(1, -1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_shift_by_pixels_copies_them(image):
    found = move_images(image, SHAPE, 0 * ONE, ONE, torch.tensor([[2 / 9, 1 / 6]])).view(SHAPE)
    torch.testing.assert_close(found[:, 1:, 2:], image.view(SHAPE)[:, :-1, :-2], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[:, 0, 2:], image.view(SHAPE)[:, 0, :-2], rtol=0, atol=1e-4)


def test_draws_keep_the_range_and_differ_by_image_and_call():
    X = torch.rand(1, 64).expand(5, 64)
    augment = RandomAffine(SQUARE, degrees=20, translate=0.2, scale=0.3)
    first, second = augment(X), augment(X)
    assert 0 <= first.min() <= first.max() <= 1
    assert len(torch.unique(torch.cat([first, second]), dim=0)) == 10
    with drawing_from(Stream(3)):
        third = augment(X)
    with drawing_from(Stream(3)):
        torch.testing.assert_close(augment(X), third, rtol=0, atol=0)


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match="X has 63 features.*which are 64"):
        RandomAffine(SQUARE)(torch.rand(2, 63))
    with pytest.raises(ValueError, match=r"image_shape must be .*got \(8, 8\)"):
        RandomAffine((8, 8))
    with pytest.raises(ValueError, match="scale must be at least 0 and below 1, got 1"):
        RandomAffine(SQUARE, scale=1)


# ---- training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def negate(rows: Tensor) -> Tensor:
    return -rows


#: Densities and codes are trained on the samples as they are.
GANS = [estimator for estimator in [*DEEP, *CLASSIFIERS] if "GAN" in name(estimator)]


def jitter(rows: Tensor) -> Tensor:
    return rows + 0.1 * torch.randn_like(rows)


@pytest.mark.parametrize("estimator", GANS, ids=name)
def test_training_of_gans_sees_the_other_versions_and_nothing_else_does(estimator, blobs):
    X, y = blobs
    seen = []

    def record(rows):
        seen.append(rows)
        return negate(rows)

    # The initial partition is given, because searches see other versions, too.
    start = {"init": y if "n_clusters" in estimator.get_params() else None}
    plain = brief(estimator, **start).fit(X, y)
    fit = brief(estimator, **start, augment=record).fit(X, y)
    weights = plain.model_.state_dict()
    assert any((weights[name] != w).any() for name, w in fit.model_.state_dict().items())
    np.testing.assert_array_equal(fit.start_labels_, plain.start_labels_)
    rows = np.concatenate(seen)  # as float32 or float64
    assert rows.shape[1] == X.shape[1]
    np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(X, axis=0))
    n_calls = len(seen)
    fit.predict(X)
    assert len(seen) == n_calls


@pytest.mark.parametrize("augment", [jitter, RandomAffine((1, 2, 2))], ids=["own", "images"])
def test_random_state_decides_what_is_drawn(augment, blobs):
    X = blobs[0]
    catgan = brief(CatGANClustering(3, hidden_layer_sizes=(8,), random_state=0), augment=augment)
    state = torch.get_rng_state()
    first, second = clone(catgan).fit(X), clone(catgan).fit(X)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("augment", [lambda rows: rows[:-1], lambda rows: rows[:, 1:]])
def test_what_is_no_version_of_the_rows_is_refused(augment, blobs):
    with pytest.raises(ValueError, match="augment must return a tensor of the shape"):
        brief(InfoGANClustering(3, random_state=0), augment=augment).fit(blobs[0])


def test_a_plane_is_turned_sized_and_shifted():
    # Linear interpolation of a plane is exact, far from the border.
    height, width, angle, size = 24, 40, 0.3, 1.3
    down, right = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(40) - 19.5, indexing="ij")
    u, v = right - 0.05 * width, down - 0.1 * height
    old_right = (math.cos(angle) * u - math.sin(angle) * v) / size
    old_down = (math.sin(angle) * u + math.cos(angle) * v) / size
    planes = torch.stack([right, down]).reshape(1, -1)
    found = move_images(
        planes, (2, height, width), angle * ONE, size * ONE, torch.tensor([[0.05, 0.1]])
    ).view(2, height, width)
    inner = (slice(8, 16), slice(12, 28))
    for image, expected in zip(found, (old_right, old_down), strict=True):
        torch.testing.assert_close(image[inner], expected[inner], rtol=0, atol=1e-4)


def test_moves_are_uniform_within_their_limits(monkeypatch):
    def keep(x, image_shape, *moves):
        seen.extend(moves)
        return x

    seen = []
    monkeypatch.setattr(augmentation, "move_images", keep)
    with drawing_from(Stream(0)):
        RandomAffine((1, 1, 1), degrees=90, translate=0.2, scale=0.3)(torch.zeros(4000, 1))
    angle, size, shift = seen
    half = torch.pi / 2
    for moves, least, most in ((angle, -half, half), (size, 0.7, 1.3), (shift, -0.2, 0.2)):
        shares = (moves - least) / (most - least)
        for share in shares.reshape(4000, -1).T:
            ends = torch.arange(1, 4001) / 4000
            assert (share.sort().values - ends).abs().max() < 0.03, "Kolmogorov and Smirnov"


def test_flips_mirror_images():
    x = torch.arange(24.0).view(2, 12)
    flip = RandomFlip((2, 2, 3))
    mirrored = x.view(2, 2, 2, 3).flip(3).view(2, 12)
    assert torch.equal(flip.list_transforms(1, 0)[0](x), mirrored)
    many = flip(x.repeat(200, 1)).view(200, 2, 12)
    is_mirrored = (many == mirrored).all(2)
    assert ((many == x).all(2) ^ is_mirrored).all()
    assert 0.4 < is_mirrored.float().mean() < 0.6

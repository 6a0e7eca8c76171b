"""Random versions of images, and the augmentation of samples in training."""

import math

import numpy as np
import pytest
import torch
from common import CLASSIFIERS, DEEP, brief, name, some_of
from scipy.stats import kstest
from sklearn.base import clone

from skdeepcluster import InfoGANClustering, VAEEmbedding
from skdeepcluster.nn.augmentation import RandomAffine, RandomFlip

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
SQUARE = (1, 8, 8)
#: Networks whose training changes the clusters.
LEARNERS = [estimator for estimator in DEEP if not isinstance(estimator, VAEEmbedding)]


# ---- images


def test_moves_are_uniform_within_their_limits():
    """Linear interpolation of planes is exact, so the middle of an image tells how it moved."""
    n = 2000
    height = 24
    width = 40
    down, right = torch.meshgrid(torch.arange(24) - 11.5, torch.arange(40) - 19.5, indexing="ij")
    planes = torch.stack([right, down]).flatten().expand(n, -1)
    augment = RandomAffine((2, height, width), degrees=30, translate=0.1, scale=0.3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = augment(planes).view(n, 2, height, width)

    # The middle pixels are at (-0.5, -0.5) and (0.5, -0.5); columns of the map are (cos, sin)
    # and (-sin, cos) over the size.
    row = moved[:, :, 11].double()
    cos, sin = (row[:, :, 20] - row[:, :, 19]).T
    angle = torch.atan2(sin, cos)
    size = 1 / torch.hypot(cos, sin)
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    middle = moved[:, :, 11:13, 19:21].double().mean((2, 3))
    shift = -torch.linalg.solve(turn, middle) / torch.tensor([width, height])
    for values, limit in (
        (angle, math.radians(30)),
        (size - 1, 0.3),
        (shift[:, 0], 0.1),
        (shift[:, 1], 0.1),
    ):
        assert kstest(values.numpy(), "uniform", (-limit, 2 * limit)).statistic < 0.04


def test_a_turn_is_counterclockwise_and_a_shift_to_the_right_and_down():
    square = torch.arange(16.0).view(1, 16)
    turn = RandomAffine((1, 4, 4), degrees=90, translate=0, scale=0)
    quarter = turn._move(square, torch.tensor([[1.0, 0.5, 0.5, 0.5]]))
    torch.testing.assert_close(quarter.view(4, 4), torch.rot90(square.view(4, 4)))
    shift = RandomAffine((1, 4, 4), degrees=0, translate=0.25, scale=0)
    moved = shift._move(square, torch.tensor([[0.5, 0.5, 1.0, 1.0]])).view(4, 4)
    torch.testing.assert_close(moved[1:, 1:], square.view(4, 4)[:-1, :-1])
    torch.testing.assert_close(moved[0, 1:], square.view(4, 4)[0, :-1])


def test_draws_keep_the_range_and_differ_by_image_and_call():
    X = torch.rand(1, 64).expand(5, 64)
    augment = RandomAffine(SQUARE, degrees=20, translate=0.2, scale=0.3)
    versions = torch.cat([augment(X), augment(X)])
    assert 0 <= versions.min() <= versions.max() <= 1
    assert len(versions.unique(dim=0)) == 10


IMPOSSIBLE = [(64,), (8.0, 8, 1), (1, -8, -8), ("1", "8", "8"), (0, 8, 8), (2, 1, 8, 8), 8, None]


@pytest.mark.parametrize("kind", [RandomAffine, RandomFlip])
def test_impossible_shapes_are_refused(kind):
    for shape in IMPOSSIBLE:
        with pytest.raises(ValueError, match="image_shape must be .*got"):
            kind(shape)
    with pytest.raises(ValueError, match="X has 63 features.* have 64"):
        kind(SQUARE)(torch.rand(2, 63))
    X = torch.rand(2, 64)
    one, other = (kind(shape).list_transforms(1, 0)[0](X) for shape in (SQUARE, (8, 8)))
    assert torch.equal(one, other)


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match="scale must be at least 0 and below 1, got 1"):
        RandomAffine(SQUARE, scale=1)


# ---- training


@pytest.mark.parametrize("estimator", [*LEARNERS, *CLASSIFIERS], ids=name)
def test_training_gets_other_versions_and_nothing_else_does(estimator, blobs):
    X, y = blobs
    batches = []

    def negate(rows):
        batches.append(rows)
        return -rows

    # The initial partition is fixed, because searches use other versions, too.
    init = y if "n_clusters" in estimator.get_params() else "own"
    plain = brief(estimator, init=init).fit(X, y)
    augmented = brief(estimator, init=init, augment=negate).fit(X, y)
    np.testing.assert_array_equal(augmented.init_labels_, plain.init_labels_)
    weights = plain.model_.state_dict()
    changed = augmented.model_.state_dict().items()
    assert any((weights[key] != weight).any() for key, weight in changed)

    rows = np.concatenate(batches)  # as float32 or float64
    np.testing.assert_array_equal(np.unique(rows, axis=0), np.unique(X, axis=0))
    n_calls = len(batches)
    augmented.predict(X)
    assert len(batches) == n_calls


def jitter(rows):
    return rows + 0.1 * torch.randn_like(rows)


@pytest.mark.parametrize("augment", [lambda rows: rows[:-1], lambda rows: rows[:, 1:]])
def test_what_is_no_version_of_the_samples_is_refused(augment, blobs):
    infogan = brief(InfoGANClustering(3, random_state=0), augment=augment)
    with pytest.raises(ValueError, match="augment must return a tensor of shape"):
        infogan.fit(blobs[0])


def test_flips_mirror_images():
    x = torch.arange(24.0).view(2, 12)
    flip = RandomFlip((2, 2, 3))
    mirrored = x.view(2, 2, 2, 3).flip(3).view(2, 12)
    assert torch.equal(flip.list_transforms(1, 0)[0](x), mirrored)
    many = flip(x.repeat(200, 1)).view(200, 2, 12)
    is_mirrored = (many == mirrored).all(2)
    assert ((many == x).all(2) ^ is_mirrored).all()
    assert 0.4 < is_mirrored.float().mean() < 0.6


@pytest.mark.parametrize("estimator", some_of(LEARNERS), ids=name)
def test_networks_learn_that_changes_do_not_matter(estimator):
    """Two of four columns of noise change places with those that tell the clusters."""
    stream = np.random.RandomState(0)
    y = np.arange(200) % 2
    X = stream.normal(size=(200, 4)).astype(np.float32)
    X[:, 0] += 6 * y
    X[:, 1] -= 6 * y

    def swap(rows):
        return rows.flip(1)

    small = {"hidden_layer_sizes": (32,), "random_state": 0, "init": y}
    known = {"n_components": 4} if "n_components" in estimator.get_params() else {}
    plain, learned = (
        clone(estimator).set_params(n_clusters=2, **small, **known, augment=augment).fit(X)
        for augment in (None, swap)
    )
    flipped = np.ascontiguousarray(X[:, ::-1])
    found = [np.mean(fit.predict(flipped) == y) for fit in (plain, learned)]
    assert found[1] > 0.95 > found[0] + 0.2
    assert np.mean(learned.labels_ == y) > 0.95

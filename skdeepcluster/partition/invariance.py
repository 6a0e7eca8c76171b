"""Which changes of images and series do not matter, found by the expected score.

N samples, D features.
"""

from functools import partial

import numpy as np

from ..input.checks import read_image_shape
from .search import Problem, find_partition

#: Maximum number of samples on which the kinds of changes are compared.
TRIED_SAMPLES = 4_000
#: Number of fits for each kind.
N_FITS = 2
#: Minimum gain in expected score for changes that are taken not to matter.
CLEAR = 0.05
#: Largest shifts of series that are tried, as shares of the length.
SHIFTS = 0.05, 0.15, 0.3, 1.0


def choose_augment(X, n_clusters, settings, image_shape, preparation, random_state):
    """Return the augmentation of a kind of changes that do not matter, or None, and scores.

    X (N, D) are images, or series if ``image_shape`` is None, scaled by a
    ``preparation``. The scores are the mean expected scores of fits with each kind, by name.
    """
    order = np.random.RandomState(0).permutation(len(X))
    some = X[np.sort(order[:TRIED_SAMPLES])]
    problem = Problem(n_clusters)
    kinds = {"none": None} | list_kinds(X.shape[1], image_shape)
    seeds = random_state.randint(2**31, size=N_FITS)
    scores = {}
    for name, augment in kinds.items():
        augment = preparation.scale_augment(augment)
        changed = settings._replace(augment=augment)
        expected = []
        for seed in seeds:
            partition = find_partition(some, problem, changed, seed)
            expected.append(partition.answers[0].expected_score)
        scores[name] = float(np.mean(expected))
    best = max(scores, key=scores.get)
    if scores[best] < scores["none"] + CLEAR:
        best = "none"
    return kinds[best], scores


def list_kinds(n_features, image_shape):
    """Return augmentations of images, or of series if ``image_shape`` is None, by name."""
    from ..modules.augmentation import RandomAffine, RandomFlip, RandomShift

    if image_shape is None:
        return {f"shift by {share:.0%}": RandomShift(share) for share in SHIFTS}
    shape = read_image_shape(image_shape, n_features)
    turn = partial(RandomAffine, shape, scale=0, translate=0)
    return {
        "shift": RandomAffine(shape, degrees=0, scale=0, translate=0.1),
        "rotation": turn(degrees=20),
        "any rotation": turn(degrees=180),
        "affine": RandomAffine(shape),
        "mirror": RandomFlip(shape),
    }

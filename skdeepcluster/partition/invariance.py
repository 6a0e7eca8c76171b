"""How images and series are compared, chosen by the expected score.

N samples, D features.
"""

from functools import partial

import numpy as np
from sklearn.preprocessing import FunctionTransformer

from ..input.parameters import read_image_shape
from ..neighbors.convolutions import ConvolutionFeatures
from .features import measure_agreement
from .search import Problem, find_partition

#: Maximum number of samples on which the kinds of changes are compared.
TRIED_SAMPLES = 4_000
#: Number of fits for each kind.
N_FITS = 2
#: What the agreement with other kinds, an adjusted Rand index, adds to an expected score.
AGREEMENT_WEIGHT = 0.25
#: Minimum gain for samples that are not compared as they are.
CLEAR = 0.05
#: Largest shifts of series that are tried, as shares of the length.
SHIFTS = 0.05, 0.15, 0.3
WRAPPED_SHIFTS = 0.3, 1.0


def choose_augment(prepared, n_clusters, settings, kinds, random_state):
    """Return the one of ``kinds``, by name, with the highest merit, and the merits of all.

    The merit of a kind is its expected score, raised by
    AGREEMENT_WEIGHT times the agreement of its clusters with those of other kinds: what is true is
    seen in several ways.
    """
    points = prepared.points
    order = np.random.RandomState(0).permutation(len(points))
    some = prepared._replace(points=points[np.sort(order[:TRIED_SAMPLES])])
    problem = Problem(n_clusters)
    settings = settings._replace(max_samples=len(some.points))
    kinds = {"none": None} | kinds
    seeds = random_state.randint(2**31, size=N_FITS)
    expected = []
    labels = []
    for augment in kinds.values():
        changed = some.change(augment)
        samples = None
        for seed in seeds:
            found = find_partition(changed, problem, settings, seed, samples=samples)
            samples = found.samples
            best = found.best
            expected.append(best.expected_score)
            labels.append(best.labels[found.samples.inverse])

    most = max(map(np.max, labels)) + 1
    agreement = measure_agreement(np.array(labels), np.array(labels), most)
    shape = len(kinds), N_FITS
    agreement = agreement.reshape(*shape, *shape).mean((1, 3))
    others = agreement.sum(1) - np.diag(agreement)
    merits = np.reshape(expected, shape).mean(1)
    merits += AGREEMENT_WEIGHT * others / (len(kinds) - 1)
    merits = dict(zip(kinds, merits.tolist(), strict=True))
    best = max(merits, key=merits.get)
    if merits[best] < merits["none"] + CLEAR:
        best = "none"
    return kinds[best], merits


def list_series_features():
    """Return transformers of series, by name."""
    return {
        "convolutions": ConvolutionFeatures(),
        "differences": FunctionTransformer(np.diff),
    }


def list_kinds(n_features, image_shape):
    """Return augmentations of images, or of series if ``image_shape`` is None, by name."""
    from ..nn.augmentation import RandomAffine, RandomFlip, RandomShift

    if image_shape is None:
        shifts = {f"shift by {share:.0%}": RandomShift(share) for share in SHIFTS}
        wrapped = {
            f"wrapped shift by {share:.0%}": RandomShift(share, wrap=True)
            for share in WRAPPED_SHIFTS
        }
        return shifts | wrapped
    shape = read_image_shape(image_shape, n_features)
    turn = partial(RandomAffine, shape, scale=0, translate=0)
    return {
        "shift": RandomAffine(shape, degrees=0, scale=0, translate=0.1),
        "rotation": turn(degrees=20),
        "any rotation": turn(degrees=180),
        "affine": RandomAffine(shape),
        "mirror": RandomFlip(shape),
    }

"""Places of the names of clusters among their samples in a picture."""

import numpy as np

#: Mean width of a letter, and gap between a name and samples, as shares of a line's height.
LETTER = 0.525
CLEAR = 0.5
#: Directions from a sample in which a name is tried.
DIRECTIONS = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1)
#: Maximum numbers of samples: beside which a name is tried, of its cluster, and of all others.
N_TRIED = 30
N_OWN = 300
N_OTHERS = 1000


def place_names(points, labels, names, line):
    """Return names and their middles (x, y), each beside its own samples and away from others.

    ``points`` (N, 2) and the height of a ``line`` have the same unit; ``labels`` (N,) are
    positions in ``names``, -1 for none.
    """
    points = points / line
    low = points.min(0) - 1
    high = points.max(0) + 1

    placed = []
    taken = []
    for k in np.unique(labels[labels >= 0]):
        half = np.array([LETTER * len(str(names[k])), 1]) / 2
        own = points[labels == k]
        beside = _thin(own, N_TRIED)[:, None, None]
        middles = (beside + DIRECTIONS * (half + CLEAR)).reshape(-1, 2)
        middles = middles.clip(low + half, high - half)

        own = _measure_gaps(middles, half, _thin(own, N_OWN))
        others = _measure_gaps(middles, half, _thin(points[labels != k], N_OTHERS))
        # Some samples of a cluster may lie among others.
        near = np.quantile(own, 0.25, axis=1)
        is_wrong = others < np.maximum(near, CLEAR)[:, None]
        cost = near + 4 * (own == 0).sum(1) + is_wrong.sum(1)
        for middle, size in taken:
            is_over = (np.abs(middles - middle) < half + size).all(1)
            cost += N_OTHERS * is_over

        middle = middles[cost.argmin()]
        taken.append((middle, half))
        placed.append((names[k], *(middle * line)))
    return placed


def _thin(points, n_points):
    """Return about ``n_points`` of many points."""
    return points[:: len(points) // n_points + 1]


def _measure_gaps(middles, half, points):
    """Return the distances of points from boxes with some middles."""
    gaps = np.abs(middles[:, None] - points) - half
    return np.hypot(*np.moveaxis(gaps.clip(0), -1, 0))

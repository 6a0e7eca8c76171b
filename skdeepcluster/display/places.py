"""Places of the names of clusters among their samples in a picture."""

import numpy as np

#: Mean width of a letter, and gap between a name and samples, as shares of a line's height.
LETTER = 0.525
GAP = 0.5
#: Directions from a sample in which a name is tried.
DIRECTIONS = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1)
#: Maximum numbers of samples of a cluster beside which a name is tried, and that it may cover.
N_TRIED = 30
N_COVERED = 1000


def place_names(points, labels, names, line):
    """Return names and their middles (x, y), each beside its own samples and away from others.

    ``points`` (N, 2) and the height of a ``line`` have the same unit; ``labels`` (N,) are
    positions in ``names``, -1 for none.
    """
    points = points / line
    low = points.min(0) - 1
    high = points.max(0) + 1

    places = {}
    for k in np.unique(labels[labels >= 0]):
        half = np.array([LETTER * len(str(names[k])), 1]) / 2
        own = _thin(points[labels == k], N_COVERED)
        others = _thin(points[labels != k], N_COVERED)
        beside = _thin(own, N_TRIED)[:, None, None]
        middles = (beside + DIRECTIONS * (half + GAP)).reshape(-1, 2)
        middles = middles.clip(low + half, high - half)

        cost = np.hypot(*(middles - np.median(own, 0)).T)
        cost += 4 * _count_within(own, middles, half)
        cost += 4 * _count_within(others, middles, half + 2 * GAP)
        for middle, size in places.values():
            cost += N_COVERED * _count_within(middle[None], middles, half + size)
        places[k] = middles[cost.argmin()], half
    return [(names[k], *(middle * line)) for k, (middle, _) in places.items()]


def _thin(points, n_points):
    """Return about ``n_points`` of many points."""
    return points[:: len(points) // n_points + 1]


def _count_within(points, middles, half):
    """Return how many points lie within boxes of a size around each of the middles."""
    return (np.abs(middles[:, None] - points) < half).all(2).sum(1)

"""Reference values: the features of partitions of a small data set, which the file holds.

Loading the criterion computes them again. A formula that has changed under an old name would give
the trees other numbers than those they were trained on.
"""

import numpy as np

from ..coordinates import Coordinates
from ..table import Table
from .constants import COMPARED
from .features import NAMES, Ensemble
from .measurements import measure_samples

#: Seed with which no two values of a feature nearly tie.
SEED = 26
#: Number of samples, in clusters of equal size.
N_SAMPLES = 60
N_CLUSTERS = 3
#: Shares of the labels that each partition changes at random.
CHANGED = 0.05, 0.15, 0.3, 0.5
#: Maximum difference, relative or absolute, from processor to processor.
TOLERANCE = 1e-3


def draw_ensemble():
    """Return an :class:`~.features.Ensemble` of fixed partitions of fixed samples."""
    stream = np.random.RandomState(SEED)
    y = np.arange(N_SAMPLES) % N_CLUSTERS
    centers = 4 * np.eye(3)[y]
    points, *layouts = centers + stream.normal(size=(3, N_SAMPLES, 3))
    coords = Coordinates(
        wide=points,
        narrow=points[:, :2],
        layouts=layouts,
        graph=None,
        weights=np.ones(N_SAMPLES),
        order=np.arange(N_SAMPLES),
        has_features=True,
        table=_draw_table(stream, y),
    )
    measured = measure_samples(coords, 3, N_SAMPLES)

    candidates = []
    for method, share in zip(COMPARED, CHANGED, strict=False):
        is_changed = stream.uniform(size=N_SAMPLES) < share
        others = stream.randint(N_CLUSTERS, size=N_SAMPLES)
        candidates.append((method, np.where(is_changed, others, y)))
    return Ensemble(measured, candidates, N_CLUSTERS)


def _draw_table(stream, y):
    """Return a :class:`~skdeepcluster.partition.table.Table` of two numbers and a category."""
    numbers = np.eye(3)[y, :2] + stream.normal(size=(N_SAMPLES, 2))
    is_other = stream.uniform(size=N_SAMPLES) < 0.3
    levels = np.eye(3)[(y + is_other) % 3]
    return Table(
        columns=np.hstack([numbers, levels]),
        n_numbers=2,
        groups=[[2, 3, 4]],
        owners=np.array([0, 1, 2, 2, 2]),
    )


def compute_reference():
    """Return the features (R, F) of the partitions."""
    return draw_ensemble().features


def check_reference(known):
    """Raise an error if the features differ from the ``known`` ones of the file."""
    found = compute_reference()
    is_equal = np.isclose(found, known, TOLERANCE, TOLERANCE).all(0)
    changed = {NAMES[i].partition(", ")[0] for i in np.flatnonzero(~is_equal)}
    if changed:
        raise RuntimeError(
            f"The formulas of {sorted(changed)} differ from those that criterion.npz was "
            "trained with. Reinstall skdeepcluster, or train the criterion again: "
            "python -m benchmarks.criterion."
        )

"""What was learned, read from ``criterion.npz``: regression trees and the calibration.

C partitions, F features, T nodes.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .calibration import CALIBRATION_NAMES
from .features import NAMES, ONE_NAMES
from .reference import check_reference

#: The file, which ``benchmarks/criterion`` writes.
FILE = Path(__file__).with_name("criterion.npz")
#: Names of the inputs by purpose: scores of partitions, of those without features, of one cluster,
#: and the calibration of probabilities.
INPUTS = {
    "score": NAMES,
    "layout": NAMES,
    "one": ONE_NAMES,
    "calibration": CALIBRATION_NAMES,
}


class Trees(NamedTuple):
    """Regression trees, whose sum is a score. Their nodes are numbered together."""

    #: Positions of the roots.
    roots: np.ndarray
    #: Position (T,) of the feature that is compared with the threshold (T,).
    feature: np.ndarray
    threshold: np.ndarray
    #: Steps (T,) to the children, 0 at a leaf.
    left: np.ndarray
    right: np.ndarray
    #: Values (T,) of leaves.
    value: np.ndarray
    #: Score without trees.
    base: np.ndarray
    #: Maximum number of comparisons.
    depth: np.ndarray

    def predict(self, features):
        """Return the sums (C,) of the trees for features (C, F)."""
        rows = np.arange(len(features))[:, None]
        nodes = np.tile(self.roots, (len(features), 1))
        for _ in range(self.depth):
            goes_left = features[rows, self.feature[nodes]] <= self.threshold[nodes]
            nodes = nodes + np.where(goes_left, self.left[nodes], self.right[nodes])
        return self.base + self.value[nodes].sum(1, dtype=np.float64)


class Learned(NamedTuple):
    """What was learned, and from what."""

    #: :class:`Trees` by purpose: "score", "layout" and "one".
    trees: dict
    #: Coefficients (4,) of CALIBRATION_NAMES.
    calibration: np.ndarray
    #: Data sets, seeds and versions of libraries of the training.
    provenance: dict


@cache
def load():
    """Return what was :class:`Learned`, checked against the formulas of the code."""
    with np.load(FILE) as archive:
        arrays = dict(archive)
    for purpose, names in INPUTS.items():
        _check_names(purpose, arrays[f"{purpose} names"].tolist(), names)

    trees = {}
    for purpose in ("score", "layout", "one"):
        nodes = [arrays[f"{purpose} {name}"] for name in Trees._fields]
        trees[purpose] = Trees(*nodes)
    check_reference(arrays["reference"])
    provenance = json.loads(arrays["provenance"].item())
    return Learned(trees, arrays["calibration"], provenance)


def _check_names(purpose, known, names):
    """Raise an error unless the file knows these inputs of the trees or of the calibration."""
    if known != names:
        others = sorted({*known} ^ {*names}) or "their order"
        raise RuntimeError(
            f"criterion.npz has other inputs of {purpose!r} than the code: {others}. "
            "Reinstall skdeepcluster, or run python -m benchmarks.criterion."
        )

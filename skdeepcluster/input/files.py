"""Files that are written whole or not at all, and lengths of the arrays that they contain."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_native_id
from typing import IO, Any

#: Names of fitted arrays by their dimensions: N samples, M samples in the graph, K clusters,
#: E clusters with samples, C covariances, D columns of a network,
#: G of them with Gaussian noise.
NAMES = {
    "N": "labels_ probabilities_ outlier_scores_ start_labels_ layout_ labels probabilities "
    "member_labels_ row_agreement_",
    "NK": "responsibilities_",
    "M": "rows keys kept spacing graph_indices_ _graph_weights",
    "MM": "graph_",
    "K": "weights_ means_ cluster_centers_ class_prior_ classes_ cluster_stability_ "
    "log_prior log_marginal",
    "C": "covariances_ precisions_ precisions_cholesky_",
    "D": "whitening likelihood.shift likelihood.scale likelihood.noise",
    "G": "likelihood.parts.gaussian.shift likelihood.parts.gaussian.scale "
    "likelihood.parts.gaussian.noise",
    "ED": "whitened_means",
}
DIMENSIONS = {
    name: letters for letters, names in NAMES.items() for name in names.split()
}


def check_lengths(*parts: Mapping[str, Any]) -> None:
    """Check that the arrays in parts of a fitted state have lengths that fit together."""
    n_clusters = parts[0].get("n_clusters_")
    lengths = {} if n_clusters is None else {"K": n_clusters}
    for part in parts:
        for name, array in part.items():
            shape = getattr(array, "shape", ())
            for letter, n in zip(DIMENSIONS.get(name, ""), shape, strict=False):
                expected = lengths.setdefault(letter, n)
                if n != expected:
                    raise ValueError(
                        f"{name} has the shape {shape}, where other arrays have "
                        f"{expected}. Fit the estimator again."
                    )


def check_regular(path: str) -> None:
    """Raise OSError if there is something else than a regular file."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} exists and is no regular file. Give another name.")


@contextmanager
def replace_atomically(path: Any) -> Iterator[IO[bytes]]:
    """Yield a new binary file that replaces ``path`` if the block completes."""
    path = os.path.realpath(path)
    check_regular(path)
    # Each thread of each process has its own, because several may write one file.
    temporary = Path(f"{path}.{get_native_id()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

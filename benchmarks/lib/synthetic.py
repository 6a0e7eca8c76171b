"""Gaussian clusters for the laws."""

import numpy as np


def centers(stream, n_clusters, n_features, gap):
    """Draw centers in a cube that are at least `gap` apart; the cube grows until they fit."""
    side, found = gap * n_clusters ** (1 / n_features) / np.sqrt(n_features), []
    while len(found) < n_clusters:
        candidate = stream.uniform(0, side, n_features)
        if all(np.linalg.norm(candidate - other) >= gap for other in found):
            found.append(candidate)
        side *= 1.001
    return np.array(found)


def rotation(stream, n_features):
    """Draw a rotation (or reflection) of the space."""
    return np.linalg.qr(stream.standard_normal((n_features, n_features)))[0]


def blobs(stream, sizes, n_features, *, gap=6.0, stds=1.0, condition=1.0, df=np.inf):
    """Draw clusters about centers that lie `gap` apart.

    `stds` is one standard deviation, or one for each cluster; `condition` the ratio of a rotated
    cluster's longest to its shortest axis; `df` the degrees of freedom of Student's t.
    """
    middles, parts = centers(stream, len(sizes), n_features, gap), []
    for middle, size, std in zip(middles, sizes, np.broadcast_to(stds, len(sizes)), strict=True):
        axes = np.geomspace(1, condition, n_features)
        rows = stream.standard_normal((size, n_features)) * axes / np.sqrt(condition)
        if np.isfinite(df):
            rows *= np.sqrt(df / stream.chisquare(df, (size, 1)))
        parts.append(middle + std * rows @ rotation(stream, n_features))
    return parts

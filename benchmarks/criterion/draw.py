"""Draw data sets from a prior: many kinds of clusters, all known, from easy to overlapping."""

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.spatial.distance import cdist
from sklearn.preprocessing import scale

from .draw_clouds import (
    FORMS,
    draw_bananas,
    draw_body,
    draw_clouds,
    draw_factors,
    draw_noise_features,
    draw_warped,
)
from .draw_columns import draw_answers, draw_measurements, draw_scales
from .draw_common import NOISES, Array, Numbers, Samples, draw_classes, log_uniform
from .draw_images import (
    draw_digits,
    draw_embeddings,
    draw_manifolds,
    draw_shifted,
    draw_texts,
)
from .draw_shapes import (
    CURVES,
    REGIONS,
    draw_compound,
    draw_regions,
    draw_rings,
    draw_stripes,
)
from .draw_tables import code_columns, disguise, draw_mixed, draw_questions


class DataSet(NamedTuple):
    """A data set with known clusters."""

    #: Samples (N, D), an array or a table.
    X: Any
    #: Classes (N,).
    y: Array
    n_clusters: int
    kind: str


def draw(kind: str, seed: int) -> DataSet:
    """Draw a data set, shuffled, at times turned, in comparable units or standardized."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    X, y = KINDS[kind](rng)
    if kind not in TABLES:
        X = _change_units(rng, kind, _turn(rng, kind, X))

    order = rng.permutation(len(y))
    return DataSet(_take(X, order), y[order], int(y.max()) + 1, kind)


def _take(X: Any, order: Array) -> Any:
    """Return samples of an array or a table, in this order."""
    if isinstance(X, pd.DataFrame):
        return X.iloc[order].reset_index(drop=True)
    return X[order]


def _turn(rng: Generator, kind: str, X: Array) -> Array:
    """Turn some data sets whose columns have no meaning, and shapes with columns of noise."""
    is_turned = kind not in COLUMNS and rng.random() < 0.4
    if kind in SHAPES and rng.random() < 0.2:
        size = (len(X), rng.integers(1, 8))
        X = np.hstack([X, rng.normal(0, 0.03 * X.std(), size)])
        is_turned = True
    if is_turned:
        n_features = X.shape[1]
        X = X @ np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    return X


def _change_units(rng: Generator, kind: str, X: Array) -> Array:
    """Scale all columns together or one by one, and move them; embeddings have no units."""
    if "embedding" in kind:
        return X
    is_together = kind != "tables" and rng.random() < 0.7
    X = X / X.var(0).mean() ** 0.5 if is_together else scale(X)
    return X + rng.normal(0, 2, X.shape[1]) * rng.integers(2)


# ---- kinds that change others


def draw_rounded(rng: Generator) -> Samples:
    """Draw a set of another kind on a coarse grid; at most half of the samples are duplicates."""
    X, y = KINDS[rng.choice(SPOILED)](rng)
    X = X / X.std(0) / log_uniform(rng, 0.1, 1)
    while len(np.unique(np.round(X), axis=0)) < len(y) / 2:
        X = X * 1.3
    return np.round(X), y


def draw_outliers(rng: Generator) -> Samples:
    """Draw a set of another kind with noise, in the nearest classes or as one of its own."""
    X, y = KINDS[rng.choice(SPOILED)](rng)
    is_class = rng.random() < 0.5
    share = rng.uniform(0.06 if is_class else 0.01, 0.11)
    return _add_noise(rng, X, y, max(5, int(len(y) * share)), 0.2, is_class)


def draw_background(rng: Generator) -> Samples:
    """Draw a set of another kind in a background, a class of its own or of the nearest classes."""
    X, y = KINDS[rng.choice((*SPOILED, "one_region", "one_curve"))](rng)
    is_class = y[-1] == 0 or rng.random() < 0.5
    share = log_uniform(rng, 0.12, 2 if is_class else 0.45)
    return _add_noise(rng, X, y, min(int(len(y) * share), 2000), 0.3, is_class)


def _add_noise(
    rng: Generator, X: Array, y: Array, n_added: int, beyond: float, is_class: bool
) -> Samples:
    """Add uniform noise of a box that exceeds the samples by a share of their range."""
    places = rng.uniform(-beyond, 1 + beyond, (n_added, X.shape[1]))
    added = X.min(0) + np.ptp(X, 0) * places
    nearest = cdist(added, X).argmin(1)
    classes = np.full(n_added, y[-1] + 1) if is_class else y[nearest]
    return np.vstack([X, added]), np.append(y, classes)


def draw_coded(rng: Generator, kinds: tuple[str, ...]) -> Samples:
    """Draw a set of another kind, and measure some of its columns as ordinal, binary or skewed."""
    X, y = KINDS[rng.choice(kinds)](rng)
    return code_columns(rng, X, y)


def draw_table(rng: Generator, n_classes: Numbers = (2, 6, 9)) -> tuple[Any, Array]:
    """Draw a table of columns of all kinds, at times with gaps.

    A third is as pipelines encode it.
    """
    X, y = draw_mixed(rng, draw_classes(rng, *n_classes))
    return (disguise(rng, X) if rng.random() < 1 / 3 else X), y


# ---- all kinds

ONE = (1, 1, 1)
NARROW: dict[str, Any] = {"dims": (2, 20), "forms": FORMS}
SKEWED: dict[str, Any] = {
    "warps": [np.exp],
    "bent": (1, 1),
    "tails": ("normal", "log_gamma"),
}
#: Draws samples and their classes, by kind.
KINDS: dict[str, Callable[[Generator], Any]] = {
    "blobs": draw_clouds,
    "grids": partial(
        draw_clouds, n_classes=(8, 25, 30), dims=(2, 3), contrast=(0, 0.2)
    ),
    "gaussians": partial(draw_clouds, dims=(2, 20), forms=FORMS[1:]),
    "handfuls": partial(
        draw_clouds, n_classes=(8, 25, 40), dims=(2, 12), forms=FORMS[:2]
    ),
    "rare": partial(draw_clouds, n_classes=(2, 8, 8), sizes="few large", **NARROW),
    "crossing": partial(
        draw_clouds, n_classes=(2, 3, 4), dims=(2, 6), forms=("flat",), apart=(0.1, 1)
    ),
    "nested": partial(
        draw_clouds, n_classes=(2, 5, 6), dims=(2, 10), apart=(1, 3), contrast=(1, 1.5)
    ),
    "overlapping": partial(
        draw_clouds,
        n_classes=(2, 4, 6),
        apart=(0.6, 2.2),
        tails=("normal", "normal", "t", "lognormal"),
        **NARROW,
    ),
    "heavy_tails": partial(
        draw_clouds, dims=(2, 15), forms=FORMS, tails=("t", "laplace")
    ),
    "hierarchy": partial(draw_clouds, n_classes=(4, 15, 30), forms=FORMS[:2], levels=3),
    "subspaces": partial(
        draw_clouds,
        n_classes=(2, 8, 12),
        dims=(10, 50),
        forms=("flat",),
        apart=(0.3, 3),
    ),
    "line": partial(draw_clouds, n_classes=(2, 8, 8), dims=(1, 1), tails=tuple(NOISES)),
    "bananas": partial(
        draw_bananas, n_classes=(2, 8, 15), dims=(2, 20), forms=FORMS[:2]
    ),
    "outliers": draw_outliers,
    "background": draw_background,
    "noise_features": draw_noise_features,
    "factors": draw_factors,
    "one_table": partial(
        draw_clouds, n_classes=ONE, dims=(1, 20), forms=FORMS, tails=tuple(NOISES)
    ),
    "regions": partial(draw_regions, shapes=REGIONS, gap=(0.06, 0.6)),
    "touching": partial(draw_regions, shapes=REGIONS, gap=(0.003, 0.05)),
    "curves": partial(draw_regions, shapes=CURVES, gap=(0.2, 0.7)),
    "stripes": draw_stripes,
    "spirals": partial(draw_stripes, n_classes=(2, 3, 4), is_coiled=True),
    "rings": draw_rings,
    "compound": draw_compound,
    "one_curve": partial(draw_regions, shapes=CURVES, gap=(1, 2), n_classes=ONE),
    "one_ring": partial(draw_rings, n_classes=ONE),
    "one_region": partial(draw_regions, shapes=REGIONS, gap=(1, 2), n_classes=ONE),
    "one_band": partial(draw_stripes, n_classes=ONE),
    "one_body": draw_body,
    "one_banana": partial(draw_bananas, n_classes=ONE, **NARROW),
    "one_scale": partial(draw_scales, n_classes=ONE),
    "one_skewed": partial(
        draw_warped, n_classes=ONE, dims=(1, 20), forms=FORMS, **SKEWED
    ),
    "skewed": partial(draw_warped, dims=(2, 15), **SKEWED),
    "stretched": partial(draw_warped, **NARROW),
    "answers": draw_answers,
    "scales": draw_scales,
    "tables": draw_measurements,
    "questions": draw_questions,
    "one_questions": partial(draw_questions, n_classes=ONE),
    "mixed": draw_table,
    "one_mixed": partial(draw_table, n_classes=ONE),
    "coded": partial(
        draw_coded,
        kinds=(
            "blobs",
            "gaussians",
            "rare",
            "nested",
            "heavy_tails",
            "hierarchy",
            "bananas",
            "noise_features",
            "factors",
            "skewed",
            "stretched",
            "tables",
        ),
    ),
    "one_coded": partial(draw_coded, kinds=("one_table", "one_skewed")),
    "rounded": draw_rounded,
    "images": partial(draw_manifolds, as_images=True),
    "series": partial(draw_manifolds, as_images=False),
    "shifted": draw_shifted,
    "digits": draw_digits,
    "embeddings": draw_embeddings,
    "texts": draw_texts,
    "many_images": partial(draw_manifolds, as_images=True, is_large=True),
    "many_series": partial(draw_manifolds, as_images=False, is_large=True),
    "many_digits": partial(draw_digits, is_large=True),
    "many_embeddings": partial(draw_embeddings, is_large=True),
    "one_embedding": partial(draw_embeddings, n_classes=ONE),
}
#: Kinds to which noise is added, or that are rounded.
SPOILED = ("blobs", "gaussians", "regions", "curves", "rings", "bananas")
#: Kinds of shapes in the plane.
SHAPES = {
    "regions",
    "curves",
    "touching",
    "stripes",
    "spirals",
    "rings",
    "compound",
    "one_curve",
    "one_ring",
    "one_region",
    "one_band",
}
#: Kinds whose columns have a meaning: the sets are not turned.
COLUMNS = {
    "skewed",
    "one_skewed",
    "stretched",
    "answers",
    "scales",
    "one_scale",
    "tables",
    "rounded",
    "images",
    "series",
    "shifted",
    "digits",
    "many_images",
    "many_series",
    "many_digits",
}
#: Kinds that are not turned and scaled: tables and texts.
TABLES = {
    "questions",
    "one_questions",
    "mixed",
    "one_mixed",
    "coded",
    "one_coded",
    "texts",
}

"""Features of series: how often a local shape occurs in them, wherever it is.

N series, D values, C channels of T values, L dilations, Q levels.
"""

from itertools import combinations
from numbers import Integral
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.decomposition import PCA
from sklearn.utils import assert_all_finite, check_scalar, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from ..input.checks import divide_series
from .threads import open_threads

#: Number of values that a kernel sees at once, and of those with a high weight.
KERNEL_LENGTH = 9
N_HIGH = 3
#: Maximum number of dilations: the steps between the values that a kernel sees.
N_DILATIONS = 6
#: Levels of the responses, as quantiles.
LEVELS = 0.125, 0.375, 0.625, 0.875
#: Maximum number of series that determine the levels, and the principal components.
LEVEL_SERIES = 100
AXES_SERIES = 5_000
#: Number of series that are convolved at once.
SERIES_AT_ONCE = 64


def _list_kernels():
    """Return all kernels (84, 9) with three weights 2 and six weights -1."""
    places = list(combinations(range(KERNEL_LENGTH), N_HIGH))
    kernels = np.full((len(places), KERNEL_LENGTH), -1, dtype=np.float32)
    np.put_along_axis(kernels, np.array(places), 2, axis=1)
    return kernels


KERNELS = _list_kernels()


class ConvolutionFeatures(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Describe series by their local shapes, with the kernels of MiniRocket.

    Each series is convolved with 84 kernels of nine values in up to six dilations. A feature is
    the share of the responses above a level, and levels are quantiles of the responses of all
    series. It does not depend on where a shape is. The principal components of the features are
    returned.

    Parameters
    ----------
    n_components : int, default=50
        Maximum number of components.
    n_channels : int, default=1
        Number of series in a sample, all of the same length, one after the other.
    n_jobs : int, default=None
        Number of threads; None means as many as OpenMP takes.

    Attributes
    ----------
    dilations_ : ndarray of shape (n_dilations,)
        Steps between the values that a kernel sees.
    levels_ : ndarray of shape (n_channels, n_dilations, 4, 84)
        Levels of the responses.
    pca_ : PCA
        The principal components of the shares.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, if X has names that are all strings.

    Notes
    -----
    Kernels have six weights -1 and three weights 2, so adding a constant to a series changes
    nothing. Dilations are at most those with which a kernel sees half of a series. Unlike
    MiniRocket [1]_, convolutions never leave a
    series of nine values or more, and nothing is random.

    References
    ----------
    .. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost) Deterministic
       Transform for Time Series Classification", KDD 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeepcluster.neighbors import ConvolutionFeatures
    >>> begin = np.arange(0, 60, 2)
    >>> X = np.stack([np.roll(np.repeat([0.0, 1, 0], [5, n, 75 - n]), b)
    ...               for n in (4, 12) for b in begin])
    >>> Z = ConvolutionFeatures(2).fit_transform(X)
    >>> Z.shape, bool(abs(Z[:30].mean(0) - Z[30:].mean(0)).max() > Z[:30].std(0).max())
    ((60, 2), True)
    """

    def __init__(self, n_components=50, *, n_channels=1, n_jobs=None) -> None:
        self.n_components = n_components
        self.n_channels = n_channels
        self.n_jobs = n_jobs

    def fit(self, X, y=None) -> Self:
        """Find the dilations, the levels and the principal components.

        Parameters
        ----------
        X : array-like of shape (n_series, n_values)
            Series, nan after the end of those that are shorter.
        y : Ignored
            Present for API consistency by convention.

        Returns
        -------
        self : object
            The fitted transformer.
        """
        for name in ("n_components", "n_channels"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        X = self._read(X, reset=True)
        longest = max(X.shape[2] // (2 * KERNEL_LENGTH - 2), 1)
        dilations = np.geomspace(1, longest, N_DILATIONS).astype(int)
        self.dilations_ = np.unique(dilations)

        # The order of the series depends on their values only.
        roughness = np.nansum(np.abs(np.diff(X.astype(float), axis=2)), axis=(1, 2))
        order = np.argsort(roughness, kind="stable")
        some = X[order[:: -(-len(X) // LEVEL_SERIES)]]
        levels = [
            [_find_quantiles(series, dilation) for dilation in self.dilations_]
            for series in np.moveaxis(some, 1, 0)
        ]
        self.levels_ = np.array(levels, dtype=np.float32)

        shares = self._measure(X[order[:: -(-len(X) // AXES_SERIES)]])
        n_components = min(self.n_components, *shares.shape)
        self.pca_ = PCA(n_components, random_state=0).fit(shares)
        self._n_features_out = n_components
        return self

    def transform(self, X) -> np.ndarray:
        """Return the principal components of the shares.

        Parameters
        ----------
        X : array-like of shape (n_series, n_values)
            Series, nan after the end of those that are shorter.

        Returns
        -------
        ndarray of shape (n_series, n_components), float32
            Components.
        """
        check_is_fitted(self)
        X = self._read(X, reset=False)
        blocks = gen_batches(len(X), AXES_SERIES)
        parts = [self.pca_.transform(self._measure(X[block])) for block in blocks]
        return np.concatenate(parts)

    def _read(self, X, reset):
        """Return series X, checked, of shape (N, C, T)."""
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
        length = divide_series(X.shape[1], self.n_channels)
        series = X.reshape(len(X), self.n_channels, length)
        # Kernels sum to zero, but large values have few digits in single precision.
        series = (series - np.nan_to_num(series[:, :, :1])).astype(np.float32)
        assert_all_finite(series, allow_nan=True, input_name="X")
        missing = max(KERNEL_LENGTH - length, 0)
        return np.pad(series, [(0, 0), (0, 0), (0, missing)], mode="edge")

    def _measure(self, X):
        """Return the shares (N, C L Q 84) of responses of series (N, C, T) above the levels."""

        def measure(block):
            series = np.moveaxis(X[block], 1, 0)
            shares = [
                _share_above(channel, dilation, levels)
                for channel, by_dilation in zip(series, self.levels_, strict=True)
                for dilation, levels in zip(self.dilations_, by_dilation, strict=True)
            ]
            return np.concatenate(shares, axis=1)

        with open_threads(self.n_jobs) as pool:
            return np.concatenate(
                [*pool.map(measure, gen_batches(len(X), SERIES_AT_ONCE))]
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _respond(series, dilation):
    """Return the responses (N, S, 84) of series (N, T) to all kernels."""
    width = (KERNEL_LENGTH - 1) * dilation + 1
    windows = sliding_window_view(series, width, axis=1)[:, :, ::dilation]
    return windows @ KERNELS.T


def _find_quantiles(series, dilation):
    """Return the levels (Q, 84) of the responses of series (N, T)."""
    responses = _respond(series, dilation).reshape(-1, len(KERNELS))
    known = responses[~np.isnan(responses[:, 0])]
    if not len(known):
        return np.zeros((len(LEVELS), len(KERNELS)))
    return np.quantile(known, LEVELS, axis=0)


def _share_above(series, dilation, levels):
    """Return the shares (N, Q 84) of responses of series (N, T) above the levels (Q, 84)."""
    responses = _respond(series, dilation)
    n_known = (~np.isnan(responses[:, :, :1])).sum(1)
    counts = [
        np.add.reduce(responses > level, axis=1, dtype=np.uint32) for level in levels
    ]
    shares = np.hstack(counts) / np.maximum(n_known, 1)
    return shares.astype(np.float32)

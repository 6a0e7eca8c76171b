"""Dask arrays: samples drawn from them, and predictions that are computed where the blocks are.

N samples, D features.
"""

from functools import wraps
from typing import cast

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted, validate_data

from ..utils.random import random_stream
from .checks import is_dask
from .types import Labels, Method


def check_blocks(X):
    """Return a Dask array (N, D) in blocks that are not empty and have all features."""
    X = _join_features(X)
    if np.isnan(X.shape[0]):
        X = X.compute_chunk_sizes()
    lengths = tuple(n for n in X.chunks[0] if n)
    if not lengths:
        raise ValueError("Found array with 0 sample(s): the Dask array has no samples.")
    return X.rechunk((lengths, -1))


def read_blocks(X, estimator, reset):
    """Check a Dask array; return it in blocks with all features, and its largest magnitude."""
    X = check_blocks(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    largest = np.atleast_1d(abs(X).max().compute())
    assert_all_finite(largest, estimator_name=type(estimator).__name__, input_name="X")
    return X, largest


def _join_features(X):
    """Return a Dask array (N, D) in blocks that have all features."""
    if not hasattr(X, "chunks") or X.ndim != 2:
        raise ValueError(
            f"Expected a Dask array of two dimensions, got {type(X).__name__}. Convert "
            "it by X.to_dask_array(lengths=True)."
        )
    return X.rechunk({1: -1})


def draw_rows(X, n_drawn, random_state):
    """Return random samples of a Dask array as an array, all if they are at most ``n_drawn``."""
    X = check_blocks(X)
    n_rows = X.shape[0]
    if n_rows > n_drawn:
        stream = random_stream(random_state)
        chosen = sample_without_replacement(n_rows, n_drawn, random_state=stream)
        X = X[np.sort(chosen)]
    return X.compute()


def fit_predict(self, X, y=None, **kwargs) -> Labels:
    """Fit to X and return the cluster labels.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples to cluster.
    y : array-like of shape (n_samples,), default=None
        Known clusters with ``use_labels=True``, ignored otherwise.
    **kwargs : dict
        Further arguments of ``fit``.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        ``labels_``, or the predictions for a Dask array.
    """
    self.fit(X, y, **kwargs)
    return self.predict(X) if is_dask(X) else self.labels_


def maps_blocks(method: Method) -> Method:
    """Let a method with the argument X return a lazy Dask array if X is one."""

    @wraps(method)
    def answer(self, X, *args):
        if not is_dask(X):
            return method(self, X, *args)
        from dask import delayed

        check_is_fitted(self)
        X = _join_features(X)
        # A sample of zeros tells the type and the number of columns.
        example = method(self, np.zeros((1, X.shape[1]), dtype=X.dtype), *args)
        empty = example[:0]
        options = {"meta": empty, "empty": empty}
        if example.ndim == 2:
            options["chunks"] = X.chunks[0], (example.shape[1],)
        else:
            options["drop_axis"] = 1
        # One task holds the estimator, not each task of a block.
        model = delayed(self, pure=False)
        task = {"model": model, "method": method.__name__, "args": args}
        return X.map_blocks(_answer_block, **task, **options)

    return cast(Method, answer)


def _answer_block(block, model, method, args, empty):
    if not len(block):
        return empty
    return getattr(model, method)(np.asarray(block), *args)

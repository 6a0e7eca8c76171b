"""Expectation maximization over stored samples: batches, steps, initial mixtures, iterations.

Statistics are summed in double precision, one batch at a time; X is never copied as a whole.
Results depend only on the samples, their weights and their order. Letters: N samples, D features,
K clusters.
"""

import math
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.utils import gen_batches

from ..functional import gaussian
from ..functional.gaussian import (
    Mixture,
    SufficientStatistics,
    add,
    sufficient_statistics,
)
from ..nn.runtime import limited_threads, to_tensor

#: Maximum number of samples that initialize a mixture.
MAX_INITIAL = 10_000


@dataclass
class _StoredRows(ABC):
    """Samples X (N, D) and their weights (N,) or (N, K), which are read in batches."""

    X: Any
    weight: np.ndarray
    batch_size: int
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def map(self, function):
        """Apply a row-wise function to all samples; return the results in their order."""

    @abstractmethod
    def sums(self, summarize):
        """Return sums of sufficient statistics over all samples."""

    @property
    def total(self):
        """The sum of the weights."""
        return float(self.weight.sum())


class WeightedRows(_StoredRows):
    """Samples of an array, memory map or CSR matrix."""

    def map(self, function):
        """Apply a row-wise function to all samples; return the results in their order."""

        def work(batch):
            return function(self._read(self.X[batch])).cpu().numpy()

        return np.concatenate([*self._each(work)])

    def sums(self, summarize):
        """Sum a function of samples and weights over the batches."""

        def work(batch):
            return summarize(self._read(self.X[batch]), self._read(self.weight[batch]))

        return reduce(add, self._each(work))

    def take(self, index):
        """Return the samples at sorted positions."""
        return self.X[index]

    def _each(self, work):
        """Yield the results of ``work`` for the batches, which torch's threads share."""
        batches = [*gen_batches(self.X.shape[0], self.batch_size)]
        n_threads = min(len(batches), torch.get_num_threads())
        if n_threads == 1 or self.device.type != "cpu":
            yield from map(work, batches)
            return
        with limited_threads(), ThreadPoolExecutor(n_threads) as pool:
            yield from pool.map(work, batches)

    def _read(self, rows):
        """Return rows as a tensor, without a copy if they are in double precision."""
        dense = rows.toarray() if sparse.issparse(rows) else rows
        # torch cannot wrap read-only memory.
        plain = np.require(dense, np.float64, "CAW")
        return torch.from_numpy(plain).to(self.device)


class DaskRows(_StoredRows):
    """Samples of a Dask array in blocks with all features; workers sum over their own blocks."""

    def map(self, function):
        """Apply a row-wise function to all samples; return the results in their order."""
        from dask import compute

        parts = self._call(WeightedRows.map, function)
        return np.concatenate(compute(*parts))

    def sums(self, summarize):
        """Sum a function over the batches, as a binary tree over the blocks."""
        from dask import delayed

        add_blocks = delayed(add, pure=False)
        parts = self._call(WeightedRows.sums, summarize)
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [add_blocks(*pair) for pair in pairs]
        return parts[0].compute()

    def take(self, index):
        """Return the samples at sorted positions."""
        return self.X[index].compute()

    def _call(self, method, function):
        """Return the delayed calls of a method of :class:`WeightedRows` for all blocks."""
        from dask import delayed

        call = delayed(_call_on_block, pure=False)
        weights = np.split(self.weight, np.cumsum(self.X.chunks[0][:-1]))
        pairs = zip(self.X.to_delayed().ravel(), weights, strict=True)
        return [call(method, function, *pair, self.batch_size) for pair in pairs]


def _call_on_block(method, function, block, *args):
    rows = WeightedRows(np.asarray(block), *args)
    with limited_threads():
        return method(rows, function)


def as_rows(X, n_clusters, kind):
    """Return samples of weight one. Arrays that are not float64 are converted in every pass."""
    batch_size = batch_size_for_cache(n_clusters, X.shape[1], kind)
    return WeightedRows(X, np.ones(len(X)), batch_size)


def batch_size_for_cache(n_clusters, n_features, kind):
    """Return the batch size for which the largest intermediate tensor fits the cache."""
    per_row = max(2 * n_features, n_clusters)
    if kind == "full":
        per_row = n_clusters * n_features
    # 1 MiB fits the cache of one core.
    return min(max(512, 2**17 // per_row), 2**14)


# ---- steps


class MStep(NamedTuple):
    """The options of an M-step: the covariance type and the term added to variances."""

    covariance_type: str
    reg_covar: float


def step(rows, mixture, m_step):
    """Return the next mixture, and the mean log-likelihood under the one before."""
    about = mixture.center()
    expect = gaussian.expected_statistics(mixture, about, m_step.covariance_type)
    *sums, bound = rows.sums(expect)
    mixture = gaussian.maximize(SufficientStatistics(*sums), about, *m_step)
    return mixture, float(bound) / rows.total


def m_step(X, resp, kind, reg_covar):
    """Return the M-step over samples X (N, D) and responsibilities (N, K), on the CPU."""
    rows = as_rows(X, resp.shape[1], kind)
    rows.weight = np.asarray(resp, dtype=np.float64)

    about = torch.from_numpy(X.mean(0, dtype=np.float64))
    summarize = partial(sufficient_statistics, about=about, kind=kind)
    stats = SufficientStatistics(*rows.sums(summarize))
    return gaussian.maximize(stats, about, kind, reg_covar)


def posterior(X, mixture):
    """Return the responsibilities p(k | x_n) of a mixture, (N, K), float64."""
    log_joint = gaussian.joint_density(mixture)
    kind = "full" if mixture.scales.ndim == 3 else "diag"
    rows = as_rows(X, len(mixture.means), kind)
    return rows.map(lambda x: log_joint(x).softmax(1))


def draw_counts(weights, n_samples, cluster, random_state):
    """Return the number of samples to draw from each component (K,), or from one ``cluster``."""
    if cluster is None:
        return random_state.multinomial(n_samples, weights / weights.sum())
    counts = np.zeros(len(weights), dtype=int)
    counts[cluster] = n_samples
    return counts


# ---- initial mixtures


def initial_mixtures(rows, n_clusters, options, random_state, init="kmeans", n_init=1):
    """Yield ``n_init`` mixtures: M-steps on drawn samples, with responsibilities by ``init``.

    "kmeans" is the best of 10 runs, divided among the mixtures.
    """
    samples, weight = draw_samples(rows, random_state)
    center = gaussian.weighted_mean(samples, weight / weight.sum())
    x = (samples - center).numpy()
    weight = weight.numpy()
    n_runs = max(1, 10 // n_init)
    for _ in range(n_init):
        resp = draw_responsibilities(x, weight, n_clusters, random_state, init, n_runs)
        mixture = m_step(x, resp, *options)
        mixture = mixture._replace(means=mixture.means + center)
        yield mixture.to(rows.device)


def draw_samples(rows, random_state):
    """Return at most ``MAX_INITIAL`` distinct samples of positive weight, and their weights.

    Equal samples are merged, and all are sorted, so that a sample of weight 2 is two samples
    wherever they stand.
    """
    index = np.flatnonzero(rows.weight)
    weight = rows.weight[index]
    if len(index) > MAX_INITIAL:
        drawn = random_state.choice(index, MAX_INITIAL, p=weight / weight.sum())
        index = np.sort(drawn)
        weight = np.ones(MAX_INITIAL)

    x = to_tensor(rows.take(index), double=True).numpy()
    x, place = np.unique(x, axis=0, return_inverse=True)
    weight = np.bincount(place.ravel(), weight)
    return torch.from_numpy(x), torch.from_numpy(weight)


def draw_responsibilities(x, weight, n_clusters, random_state, init, n_runs):
    """Return responsibilities times weights (N, K) by one of scikit-learn's ``init_params``."""
    n_samples = len(x)
    if init == "random":
        resp = random_state.random_sample((n_samples, n_clusters))
        return resp * (weight / resp.sum(1))[:, None]

    n_means = min(n_clusters, n_samples)
    one_hot = np.eye(n_means, n_clusters)
    if init == "kmeans":
        kmeans = KMeans(n_means, n_init=n_runs, random_state=random_state)
        labels = kmeans.fit_predict(x, sample_weight=weight)
        return one_hot[labels] * weight[:, None]
    if init == "k-means++":
        _, index = kmeans_plusplus(
            x, n_means, sample_weight=weight, random_state=random_state
        )
    else:
        shares = weight / weight.sum()
        index = random_state.choice(n_samples, n_means, replace=False, p=shares)
    resp = np.zeros((n_samples, n_clusters))
    resp[index] = one_hot
    return resp


# ---- iterations


@dataclass
class EMRun:
    """One EM run: the last mixture, the bound of each iteration, and whether it converged."""

    mixture: Mixture
    bound: float = -math.inf
    bounds: list[float] = field(default_factory=list)
    converged: bool = False


def run_em(
    rows,
    starts,
    m_step,
    *,
    max_iter,
    tol,
    bound=-math.inf,
    report=lambda *_: None,
):
    """Run EM from several initial mixtures; return the run with the highest final bound.

    A run converges when the mean log-likelihood, the bound, changes by less than ``tol``.
    ``bound`` is the last bound of a run that this run continues. ``report`` is called before the
    first and after each iteration with the number of the run, the run and the bound's change.
    """
    best = None
    for i, start in enumerate(starts):
        run = EMRun(start, bound)
        report(i, run, math.inf)
        while len(run.bounds) < max_iter and not run.converged:
            before = run.bound
            run.mixture, run.bound = step(rows, run.mixture, m_step)
            run.bounds.append(run.bound)
            change = run.bound - before
            run.converged = bool(abs(change) < tol)
            report(i, run, change)

        # Rounding must not decide between runs that found the same mixture.
        if best is None or run.bound - best.bound > 1e-9 * abs(best.bound):
            best = run
    return best

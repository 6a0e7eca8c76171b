"""Expectation maximization over stored samples: batches, steps, initial mixtures, iterations.

Statistics are summed in double precision, one batch at a time; X is never copied as a whole.
Results depend only on the samples, their weights and their order. Letters: N samples, D features,
K clusters.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms
from torch import Tensor

from ..functional import gaps, gaussian, points
from ..functional.gaussian import (
    Expectation,
    Function,
    Mixture,
    SufficientStatistics,
    Sums,
    add,
    sufficient_statistics,
)
from ..nn.runtime import limited_threads, to_tensor
from ..utils.random import sample_systematically

#: Number of elements of the largest intermediate tensor of a batch: 4 MiB fit a processor's cache.
BATCH_ELEMENTS = 2**19
#: Maximum number of distinct samples for k-means, k-means++ and draws of single samples.
MAX_DISTINCT_ROWS = 25_000


@dataclass
class _StoredRows(ABC):
    """Samples X (N, D) and their weights (N,) or (N, K), which are read in batches."""

    X: Any
    weight: np.ndarray
    batch_size: int
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def map(self, function: Function) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""

    @abstractmethod
    def sums(self, summarize: Expectation) -> Sums:
        """Return sums of sufficient statistics over all samples."""

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return float(self.weight.sum())


class WeightedRows(_StoredRows):
    """Samples of an array, memory map or CSR matrix."""

    def map(self, function: Function) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        one = function(self._read(self.X[:1])).cpu().numpy()
        results = np.empty((self.X.shape[0], *one.shape[1:]), dtype=one.dtype)

        def work(batches: list[slice]) -> None:
            for where in batches:
                results[where] = function(self._read(self.X[where])).cpu().numpy()

        self._share(work)
        return results

    def sums(self, summarize: Expectation) -> Sums:
        """Sum a function of samples and weights over the batches."""

        def work(batches: list[slice]) -> Sums:
            pairs = (map(self._read, (self.X[i], self.weight[i])) for i in batches)
            return reduce(add, (summarize(*pair) for pair in pairs))

        return add(*self._share(work))

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        return to_tensor(self.X[index], double=True).to(self.device)

    def _share(self, work: Callable[[list[slice]], Any]) -> list[Any]:
        """Return the results of ``work`` for every n-th batch, each call in a thread of its own.

        n is the number of torch's threads that have a batch each; one on a GPU.
        """
        batches = [*gen_batches(self.X.shape[0], self.batch_size)]
        n = min(len(batches), torch.get_num_threads())
        if n == 1 or self.device.type != "cpu":
            return [work(batches)]
        with limited_threads(), ThreadPoolExecutor(n) as pool:
            return list(pool.map(work, [batches[i::n] for i in range(n)]))

    def _read(self, rows: Any) -> Tensor:
        """Return rows as a tensor, without a copy if they are in double precision."""
        is_plain = (
            isinstance(rows, np.ndarray)
            and rows.dtype == np.float64
            and rows.flags.carray
            and min(rows.strides) > 0
        )
        tensor = torch.from_numpy(rows) if is_plain else to_tensor(rows, double=True)
        return tensor.to(self.device)


class DaskRows(_StoredRows):
    """Samples of a Dask array in blocks with all features; workers sum over their own blocks."""

    def map(self, function: Function) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        from dask import compute

        parts = self._call(WeightedRows.map, function)
        return np.concatenate(compute(*parts))

    def sums(self, summarize: Expectation) -> Sums:
        """Sum a function over the batches, as a binary tree over the blocks."""
        from dask import delayed

        add_blocks = delayed(add, pure=False)
        parts = self._call(WeightedRows.sums, summarize)
        while len(parts) > 1:
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [add_blocks(*pair) for pair in pairs]
        return parts[0].compute()

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        order = np.argsort(index, kind="stable")
        rows = np.empty((len(index), self.X.shape[1]))
        rows[order] = self.X[index[order]].compute()
        return torch.from_numpy(rows)

    def _call(self, method: Callable[..., Any], function: Any) -> list[Any]:
        """Return the delayed calls of a method of :class:`WeightedRows` for all blocks."""
        from dask import delayed

        call = delayed(_call_on_block, pure=False)
        weights = np.split(self.weight, np.cumsum(self.X.chunks[0][:-1]))
        pairs = zip(self.X.to_delayed().ravel(), weights, strict=True)
        return [call(method, function, *pair, self.batch_size) for pair in pairs]


def _call_on_block(
    method: Callable[..., Any], function: Any, block: Any, *args: Any
) -> Any:
    rows = WeightedRows(np.asarray(block), *args)
    with limited_threads():
        return method(rows, function)


AnyRows = WeightedRows | DaskRows


def as_rows(X: np.ndarray, n_clusters: int, kind: str) -> WeightedRows:
    """Return samples of weight one. Arrays that are not float64 are converted in every pass."""
    batch_size = batch_size_for_cache(n_clusters, X.shape[1], kind)
    return WeightedRows(X, np.ones(len(X)), batch_size)


def batch_size_for_cache(n_clusters: int, n_features: int, kind: str) -> int:
    """Return the batch size for which the largest intermediate tensor fits the cache."""
    per_row = max(2 * n_features, n_clusters)
    if kind == "full":
        per_row = n_clusters * n_features
    return min(max(256, BATCH_ELEMENTS // per_row), 2**14)


# ---- steps


class MStep(NamedTuple):
    """The options of an M-step: the covariance type and the term added to variances."""

    covariance_type: str
    reg_covar: float


def step(
    rows: AnyRows,
    mixture: Mixture,
    m_step: MStep,
    learning_rate: float = 1.0,
) -> tuple[Mixture, float]:
    """Return the next mixture, and the mean log-likelihood under the one before.

    With a learning rate below one (stepwise EM), the statistics of the samples are averaged with
    the statistics of the mixture.
    """
    bound = torch.zeros(())

    def sums(about: Tensor) -> SufficientStatistics:
        nonlocal bound
        expect = gaps.e_step(mixture, about, m_step.covariance_type)
        *terms, bound = rows.sums(expect)
        stats = SufficientStatistics(*terms)
        if learning_rate == 1:
            return stats

        share = learning_rate / rows.total
        past = gaussian.implied_statistics(mixture, about, *m_step)
        pairs = zip(stats, past, strict=True)
        blend = (share * now + (1 - learning_rate) * then for now, then in pairs)
        return SufficientStatistics(*blend)

    about = mixture.means if gaussian.is_separated(mixture) else mixture.center()
    mixture_next = _sum_and_maximize(sums, about, m_step)
    return mixture_next, float(bound) / rows.total


def fit_responsibilities(
    rows: AnyRows,
    resp: Function | np.ndarray,
    about: Tensor,
    m_step: MStep,
) -> Mixture:
    """Return the M-step of responsibilities (N, K), or of x -> (N, K); ``about`` fills gaps."""
    if isinstance(resp, np.ndarray):
        rows = copy.copy(rows)
        rows.weight = resp * rows.weight[:, None]

    def sums(shift: Tensor) -> SufficientStatistics:
        def summarize(x: Tensor, weight: Tensor) -> Sums:
            x = torch.where(x.isnan(), about, x)
            if callable(resp):
                weight = resp(x) * weight[:, None]
            return sufficient_statistics(x, weight, shift, m_step.covariance_type)

        return SufficientStatistics(*rows.sums(summarize))

    return _sum_and_maximize(sums, about, m_step)


def _sum_and_maximize(
    sums: Callable[[Tensor], SufficientStatistics],
    about: Tensor,
    m_step: MStep,
) -> Mixture:
    """Return the M-step. Where squares about the shift cancel, sum about each mean instead."""
    stats = sums(about)
    for _ in range(3):
        shift = gaussian.find_shifts(stats, about, *m_step)
        if shift is None:
            break
        about = shift
        stats = sums(about)
    return gaussian.maximize(stats, about, *m_step)


def m_step(
    X: np.ndarray,
    resp: np.ndarray,
    kind: str,
    reg_covar: float,
) -> Mixture:
    """Return the M-step over samples X (N, D) and responsibilities (N, K), on the CPU."""
    about = torch.from_numpy(X.mean(0, dtype=np.float64))
    rows = as_rows(X, resp.shape[1], kind)
    resp = np.asarray(resp, dtype=np.float64)
    return fit_responsibilities(rows, resp, about, MStep(kind, reg_covar))


def posterior(X: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return the responsibilities p(k | x_n) of a mixture, (N, K), float64."""
    log_joint = gaussian.joint_density(mixture)
    kind = "full" if mixture.scales.ndim == 3 else "diag"
    rows = as_rows(X, len(mixture.means), kind)
    return rows.map(lambda x: log_joint(x).softmax(1))


def reseed_starved(
    mixture: Mixture,
    least: float,
    generator: torch.Generator,
) -> Mixture:
    """Replace each component whose weight is below ``least`` by part of the heaviest component.

    It takes half of its weight, its covariance, and one of its samples as the mean.
    """
    weights = mixture.log_weights.exp()
    means = mixture.means.clone()
    scales = mixture.scales.clone()
    for k in (weights < least).nonzero().squeeze(1).tolist():
        heavy = int(weights.argmax())
        heaviest = Mixture(weights, means, scales).components()[heavy]
        one = torch.ones(1, dtype=torch.long, device="cpu")
        means[k] = points.sample(heaviest, one, generator)[0]

        weights[[k, heavy]] = weights[heavy] / 2
        if len(scales) == len(weights):
            scales[k] = scales[heavy]
    return Mixture((weights / weights.sum()).log(), means, scales)


def draw_counts(
    weights: np.ndarray,
    n_samples: int,
    cluster: int | None,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Return the number of samples to draw from each component (K,), or from one ``cluster``."""
    if cluster is None:
        return random_state.multinomial(n_samples, weights / weights.sum())
    counts = np.zeros(len(weights), dtype=int)
    counts[cluster] = n_samples
    return counts


# ---- initial mixtures


def distinct_samples(
    rows: AnyRows,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return distinct samples, sorted by a random projection, and their weights.

    Equal samples are merged, so the result depends neither on the order of the samples nor on
    repeating a sample instead of weighting it. More than ``MAX_DISTINCT_ROWS`` are sampled.
    Missing values become the means of their features.
    """
    draws = points.draw_normal(rows.X.shape[1] + 1, generator=generator)
    offset = float(draws[0].sigmoid())

    order = np.flatnonzero(rows.weight > 0)
    projection = _project_samples(rows, order, draws[1:].to(rows.device))
    order = order[projection[order].argsort(kind="stable")]
    first = np.flatnonzero(np.diff(projection[order], prepend=np.nan))
    index = order[first]
    weight = np.add.reduceat(rows.weight[order], first)

    if len(index) > MAX_DISTINCT_ROWS:
        places = sample_systematically(weight, MAX_DISTINCT_ROWS, offset)
        drawn, count = np.unique(places, return_counts=True)
        index = index[drawn]
        weight = count.astype(np.float64)
    weights = torch.tensor(weight, device=rows.device)
    return _fill(rows.take(index), weights), weights


def _project_samples(
    rows: AnyRows,
    order: np.ndarray,
    direction: Tensor,
) -> np.ndarray:
    """Return complex projections (N,) of what samples miss, and of their values."""
    # Subtracting the median keeps the digits of small differences. Sums over each sample, unlike
    # matrix products, round equal samples equally.
    some = rows.take(order[:: max(1, len(order) // 1000)])
    origin = some.nanmedian(0).values.nan_to_num(0.0)

    def project(x: Tensor) -> Tensor:
        missing = x.isnan() * direction
        values = (x - origin).nan_to_num(0.0) * direction
        return torch.complex(missing.sum(1), values.sum(1))

    return rows.map(project)


def _fill(x: Tensor, weight: Tensor) -> Tensor:
    """Return samples with the weighted mean of each feature for its missing values."""
    counts = weight @ (~x.isnan()).to(x.dtype)
    if not counts.all():
        empty = (counts == 0).nonzero().squeeze(1).tolist()
        raise ValueError(
            "The distinct samples that initialize the mixture have no values in the columns "
            f"{empty}. Leave these columns out."
        )
    means = (weight @ x.nan_to_num(0.0)) / counts
    return torch.where(x.isnan(), means, x)


class Initializer:
    """Makes the initial mixtures of EM, all from one set of distinct samples."""

    def __init__(
        self,
        rows: AnyRows,
        n_clusters: int,
        m_step: MStep,
        generator: torch.Generator,
    ) -> None:
        self.rows = rows
        self.n_clusters = n_clusters
        self.m_step = m_step
        self.generator = generator
        self.x, self.weight = distinct_samples(rows, generator)
        self.about = gaussian.weighted_mean(self.x, self.weight / self.weight.sum())
        self.one_hot = torch.eye(n_clusters, dtype=torch.float64, device=rows.device)

    def initialize(self, init: str, n_init: int) -> Mixture:
        """Return the first mixture by a method, "kmeans" and so on.

        "kmeans" is the best of 10 runs, divided among ``n_init`` initializations.
        """
        if init == "random":
            resp = self._draw_responsibilities()
        else:
            seeds = self._find_seeds(init, max(1, 10 // n_init))
            if init != "kmeans":
                return self._maximize(seeds)
            resp = self._assign_to_nearest(seeds)
        return fit_responsibilities(self.rows, resp, self.about, self.m_step)

    def _maximize(self, seeds: Tensor) -> Mixture:
        """Return the M-step of one sample for each component."""
        kind = self.m_step.covariance_type
        stats = sufficient_statistics(seeds, self.one_hot, seeds, kind)
        return gaussian.maximize(stats, seeds, *self.m_step)

    def _find_seeds(self, method: str, n_runs: int) -> Tensor:
        """Return the initial means (K, D), of the lowest inertia among ``n_runs`` of k-means."""
        n_clusters = self.n_clusters
        if len(self.x) <= n_clusters:
            index = torch.arange(n_clusters, device=self.x.device)
            return self.x[index % len(self.x)]
        if method == "random_from_data":
            weights = self.weight.cpu()
            return self.x[weights.multinomial(n_clusters, generator=self.generator)]

        x = (self.x - self.about).cpu().numpy()
        weight = self.weight.cpu().numpy()
        if method == "k-means++":
            return self.x[self._find_far_samples(x, weight)]
        centers = x[:n_clusters]
        least = math.inf
        for _ in range(n_runs):
            seeds = x[self._find_far_samples(x, weight)]
            run = KMeans(n_clusters, init=seeds, n_init=1)
            run.fit(x, sample_weight=weight)
            # Rounding must not decide between runs that found the same clusters.
            if run.inertia_ < least * (1 - 1e-9):
                centers = run.cluster_centers_
                least = run.inertia_
        return torch.from_numpy(centers).to(self.x) + self.about

    def _find_far_samples(
        self,
        x: np.ndarray,
        weight: np.ndarray,
    ) -> np.ndarray:
        """Return the indices (K,) of samples far apart, by greedy k-means++.

        Each is the best of 2 + log K candidates, drawn in proportion to weight times squared
        distance to the samples already chosen.
        """
        norms = row_norms(x, squared=True)
        nearest = np.full(len(x), np.inf)
        ends = np.cumsum(weight)
        n_drawn = 1
        chosen = []
        for _ in range(self.n_clusters):
            levels = torch.rand(
                n_drawn, generator=self.generator, dtype=torch.float64, device="cpu"
            )
            drawn = ends.searchsorted(levels.numpy() * ends[-1], side="right")
            drawn = drawn.clip(max=len(x) - 1)
            distances = norms[drawn, None] - 2 * (x[drawn] @ x.T) + norms
            distances = distances.clip(0, nearest)
            best = (distances @ weight).argmin()
            nearest = distances[best]
            chosen.append(drawn[best])
            ends = np.cumsum(weight * nearest)
            n_drawn = 2 + int(math.log(self.n_clusters))
        return np.array(chosen)

    def _assign_to_nearest(self, centers: Tensor) -> Function:
        """Assign each sample to its nearest center."""
        centers = centers - self.about
        norms = centers.square().sum(1)

        def resp(x: Tensor) -> Tensor:
            distances = norms - 2 * (x - self.about) @ centers.T
            return self.one_hot[distances.argmin(1)]

        return resp

    def _draw_responsibilities(self) -> Function:
        """Return pseudo-random responsibilities, normalized, that hash the values of a sample.

        They are fractional parts of large random projections: equal for equal samples.
        """
        shape = self.x.shape[1] + 1, self.n_clusters
        draws = points.draw_normal(*shape, generator=self.generator).to(self.x)
        largest = float((self.x - self.about).abs().max())
        directions = draws[1:] * (1e4 / largest if largest > 0 else 1.0)

        def resp(x: Tensor) -> Tensor:
            projections = (x - self.about) @ directions + draws[0]
            fractions = projections.remainder(1.0)
            return fractions / fractions.sum(1, keepdim=True)

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
    rows: AnyRows,
    starts: Iterable[Mixture],
    m_step: MStep,
    *,
    max_iter: int,
    tol: float,
    bound: float = -math.inf,
    report: Callable[[int, EMRun, float], None] = lambda *_: None,
) -> EMRun:
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
    assert best is not None, "starts must not be empty"
    return best

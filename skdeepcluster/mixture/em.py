"""Expectation maximisation over stored rows: :func:`fit`, :func:`m_step`, :func:`posterior`.

Sufficient statistics are summed in double precision, a batch of rows at a time; the data are never
copied as a whole. N rows, D features, K clusters.
"""

import functools
import itertools
import math
import mmap
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..engine.data import to_tensor
from ..engine.runtime import reused_threads, share_out
from ..functional import gaussian
from ..functional.gaussian import Mixture, SufficientStatistics

#: The positions of a batch among all rows, its rows (N, D) and their weights (N,).
Batch = tuple[slice, Tensor, Tensor]
#: (positions of a batch, its rows) -> responsibilities (N, K).
Responsibilities = Callable[[slice, Tensor], Tensor]
#: Tensors that add up over batches.
Sums = tuple[Tensor, ...]

#: Elements of the largest intermediate tensor of a batch: 4 MiB, which fits a processor's cache
#: while matrix products of this size still run near peak speed.
BATCH_ELEMENTS = 2**19
#: Batches after which the pages of a memory map are returned to the operating system.
BATCHES_TO_RELEASE = 32


def choose_batch_size(n_clusters: int, n_features: int, covariance_type: str) -> int:
    """Return the rows per batch for which the largest intermediate tensor fits the cache."""
    if covariance_type == "full":
        widest = max(end - first for first, end in gaussian.triangular_blocks(n_features))
        per_row = n_clusters * widest
    else:
        per_row = max(2 * n_features, n_clusters)
    return min(max(256, BATCH_ELEMENTS // per_row), 2**14)


def release(X: Any) -> None:
    """Return the pages of a read-only memory map to the system; they are read again on demand."""
    while X is not None and not (isinstance(X, np.memmap) and X.mode == "r"):
        X = getattr(X, "base", None)
    buffer = getattr(X, "base", None)
    while isinstance(buffer, np.ndarray):
        buffer = buffer.base
    if isinstance(buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        buffer.madvise(mmap.MADV_DONTNEED)


class WeightedRows:
    """Rows and their weights, read as batches in double precision.

    X (N, D) is an array, a read-only memory map or a CSR matrix; weights (N,) are at least 0.
    """

    def __init__(
        self, X: Any, weight: np.ndarray, batch_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.X = X
        self.weight = weight
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.total = float(weight.sum())

    def batches(self, first: int, every: int, stop: threading.Event) -> Iterator[Batch]:
        """Yield every ``every``-th batch from number ``first`` on, until ``stop`` is set.

        Batches may be views of X: they are read, never written.
        """
        starts = range(first * self.batch_size, self.X.shape[0], every * self.batch_size)
        for i, start in enumerate(itertools.takewhile(lambda _: not stop.is_set(), starts)):
            where = slice(start, start + self.batch_size)
            x, weight = self._tensor(self.X[where]), self._tensor(self.weight[where])
            yield where, x.to(self.device), weight.to(self.device)
            if i % BATCHES_TO_RELEASE == BATCHES_TO_RELEASE - 1:
                release(self.X)
        release(self.X)

    @property
    def max_workers(self) -> int:
        """Most threads that could each take a batch; one on a GPU."""
        return -(-self.X.shape[0] // self.batch_size) if self.device.type == "cpu" else 1

    def _tensor(self, rows: Any) -> Tensor:
        """Return rows as a tensor, without a copy if they are in double precision already."""
        plain = isinstance(rows, np.ndarray) and rows.flags.carray and min(rows.strides) > 0
        if plain and rows.dtype == np.float64:
            return torch.from_numpy(rows)
        return to_tensor(rows, double=True)

    def map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Apply a row-wise function to all rows; return the results in the order of the rows.

        Beside the results there are those of one batch in memory, for each thread.
        """
        found = function(self._tensor(self.X[:1]).to(self.device)).cpu().numpy()
        results = np.empty((self.X.shape[0], *found.shape[1:]), dtype=found.dtype)

        def work(first: int, every: int, stop: threading.Event) -> None:
            for where, x, _ in self.batches(first, every, stop):
                results[where] = function(x).cpu().numpy()

        share_out(work, self.max_workers)
        return results

    def sums(self, make: Callable[[], Callable[[Batch], Sums]]) -> Sums:
        """Add up a function's results over the batches; ``make`` returns one for each thread."""

        def work(first: int, every: int, stop: threading.Event) -> Sums:
            return functools.reduce(add, map(make(), self.batches(first, every, stop)))

        return functools.reduce(add, share_out(work, self.max_workers))

    def take(self, index: np.ndarray) -> Tensor:
        """Return chosen rows."""
        parts = []
        # A few at a time: reading one row of a memory map may load two megabytes around it.
        for i in range(0, len(index), 64):
            parts.append(to_tensor(self.X[index[i : i + 64]], double=True))
            release(self.X)
        return torch.cat(parts).to(self.device)


class MStep(NamedTuple):
    """The options of an M-step: the type of the covariances, and what is added to variances."""

    covariance_type: str
    reg_covar: float

    def __call__(self, stats: SufficientStatistics, about: Tensor) -> Mixture:
        """Return the mixture that maximises the expected log-likelihood of given statistics."""
        return gaussian.maximize(stats, about, self.covariance_type, self.reg_covar)


def add(first: Sums, second: Sums) -> Sums:
    """Add sums of the same kind."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def maximize(rows: WeightedRows, resp: Responsibilities, about: Tensor, m_step: MStep) -> Mixture:
    """Return the M-step over all rows of given responsibilities."""

    def summarize(batch: Batch) -> Sums:
        where, x, weight = batch
        weighted = resp(where, x) * weight.unsqueeze(1)
        return gaussian.sufficient_statistics(x, weighted, about, m_step.covariance_type)

    return m_step(SufficientStatistics(*rows.sums(lambda: summarize)), about)


def step(
    rows: WeightedRows, mixture: Mixture, m_step: MStep, learning_rate: float = 1.0
) -> tuple[Mixture, float]:
    """Return the next mixture, and the mean log-likelihood under the one before.

    With a learning rate below one (stepwise EM) the statistics of the rows are averaged with those
    of which the mixture itself is the M-step.
    """
    about = mixture.centre()

    def make() -> Callable[[Batch], Sums]:
        expect = gaussian.expected_statistics(mixture, about, m_step.covariance_type)

        def summarize(batch: Batch) -> Sums:
            stats, log_likelihood = expect(*batch[1:])
            return (*stats, log_likelihood)

        return summarize

    *sums, log_likelihood = rows.sums(make)
    stats = SufficientStatistics(*sums)
    if learning_rate < 1:
        past = gaussian.implied_statistics(mixture, about, *m_step).times(1 - learning_rate)
        stats = SufficientStatistics(*add(stats.times(learning_rate / rows.total), past))
    return m_step(stats, about), float(log_likelihood) / rows.total


@dataclass
class Run:
    """One EM run: the last mixture, the bound of each iteration, and why the run ended."""

    mixture: Mixture
    bound: float = -math.inf
    bounds: list[float] = field(default_factory=list)
    converged: bool = False
    interrupted: bool = False

    def beats(self, other: "Run") -> bool:
        """Return whether the bound is higher by more than rounding; ties keep the first run."""
        return self.bound - other.bound > 1e-9 * abs(other.bound)


def fit(
    rows: WeightedRows,
    starts: Iterable[Mixture],
    m_step: MStep,
    *,
    max_iter: int,
    tol: float,
    bound: float = -math.inf,
    report: Callable[[int, int, float, float], None] = lambda *_: None,
) -> Run:
    """Run EM from each of several mixtures; return the run that ends with the highest bound.

    A run has converged when the mean log-likelihood, the bound, changes by less than ``tol``;
    ``max_iter=0`` returns the first start. ``bound`` is the last one of an earlier run that this
    one continues. ``report`` is called with the number of the run, the iteration (0 begins a
    run), the bound and its change. Ctrl-C ends the current run, and the fit, with the mixture so
    far; before there is one it is raised.
    """
    best = None
    try:
        for i, start in enumerate(starts):
            report(i, 0, bound, math.inf)
            with reused_threads():
                run = _run(rows, start, m_step, max_iter, tol, bound, partial(report, i))
            if best is None or run.beats(best):
                best = run
            if run.interrupted:
                best.interrupted = True
                break
    except KeyboardInterrupt:  # while the next start is found
        if best is None:
            raise
        best.interrupted = True
    assert best is not None, "starts must not be empty"
    return best


def fit_to_the_end(
    rows: WeightedRows, starts: Iterable[Mixture], m_step: MStep, *, max_iter: int, tol: float
) -> Mixture:
    """Return the mixture of :func:`fit`; Ctrl-C is raised, since other work needs all of it."""
    run = fit(rows, starts, m_step, max_iter=max_iter, tol=tol)
    if run.interrupted:
        raise KeyboardInterrupt
    return run.mixture


def _run(
    rows: WeightedRows,
    mixture: Mixture,
    m_step: MStep,
    max_iter: int,
    tol: float,
    bound: float,
    report: Callable[[int, float, float], None],
) -> Run:
    """Run EM from one mixture."""
    run = Run(mixture, bound)
    try:
        for i in range(1, max_iter + 1):
            run.mixture, bound = step(rows, run.mixture, m_step)
            change, run.bound = bound - run.bound, bound
            run.bounds.append(bound)
            report(i, bound, change)
            if abs(change) < tol:
                run.converged = True
                break
    except KeyboardInterrupt:
        run.interrupted = True
    return run


def as_rows(
    X: np.ndarray, n_clusters: int, covariance_type: str, weight: np.ndarray | None = None
) -> WeightedRows:
    """Return the rows of an array in memory, with weight one by default.

    Of another precision than double every pass converts them anew.
    """
    batch_size = choose_batch_size(n_clusters, X.shape[1], covariance_type)
    return WeightedRows(X, np.ones(len(X)) if weight is None else weight, batch_size)


def m_step(X: np.ndarray, resp: np.ndarray, covariance_type: str, reg_covar: float) -> Mixture:
    """Return the M-step over rows X (N, D) of responsibilities (N, K), float64, on the CPU."""
    given = torch.as_tensor(resp, dtype=torch.float64, device="cpu")
    about = torch.from_numpy(X.mean(0, dtype=np.float64))
    rows = as_rows(X, resp.shape[1], covariance_type)
    return maximize(rows, lambda where, _: given[where], about, MStep(covariance_type, reg_covar))


def posterior(X: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return the responsibilities p(k | x_n) of a mixture, (N, K), float64."""
    log_joint = gaussian.joint_density(mixture)
    covariance_type = "full" if mixture.scales.ndim == 3 else "diag"
    rows = as_rows(X, len(mixture.means), covariance_type)
    return rows.map(lambda x: log_joint(x).softmax(1))


def reseed_starved(mixture: Mixture, least: float, generator: torch.Generator) -> Mixture:
    """Replace every component whose weight is below ``least`` by a part of the heaviest one.

    It takes half of the heaviest component's weight, its covariance, and a mean drawn from it.
    """
    weights, means, scales = (
        mixture.log_weights.exp(),
        mixture.means.clone(),
        mixture.scales.clone(),
    )
    for k in (weights < least).nonzero().squeeze(1).tolist():
        heavy = int(weights.argmax())
        counts = torch.zeros(len(weights), dtype=torch.long, device="cpu")
        counts[heavy] = 1
        means[k] = gaussian.sample(Mixture(weights, means, scales), counts, generator)[0]
        weights[[k, heavy]] = weights[heavy] / 2
        if len(scales) == len(weights):
            scales[k] = scales[heavy]
    return Mixture((weights / weights.sum()).log(), means, scales)

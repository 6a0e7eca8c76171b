"""Expectation maximization over stored samples: :func:`run_em`, :func:`m_step`, :func:`posterior`.

Statistics are summed in double precision, one batch at a time; X is never copied as a whole.
Letters: N samples, D features, K clusters.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..functional import gaussian, missing, statistics
from ..functional.gaussian import Function, Mixture
from ..functional.statistics import (
    SufficientStatistics,
    Sums,
    add,
    sufficient_statistics,
)
from ..training.data import to_tensor
from ..training.runtime import share_out

#: Number of elements of the largest intermediate tensor of a batch: 4 MiB fit a processor's cache.
BATCH_ELEMENTS = 2**19


class WeightedBatch(NamedTuple):
    """A batch (N, D), its weights (N,), and the position of its first sample in X."""

    start: int
    x: Tensor
    weight: Tensor

    @property
    def where(self) -> slice:
        """The positions of the samples in X."""
        return slice(self.start, self.start + len(self.x))


#: A batch -> its responsibilities (N, K).
Responsibilities = Callable[[WeightedBatch], Tensor]
#: A batch -> tensors that add up over batches.
Summary = Callable[[WeightedBatch], Sums]


class WeightedRows:
    """Samples X (N, D), an array, memory map or CSR matrix, and their weights (N,)."""

    def __init__(
        self,
        X: Any,
        weight: np.ndarray,
        batch_size: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.X = X
        self.weight = weight
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.total = float(weight.sum())

    def map(self, function: Function) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        one = function(self._read(self.X[:1])).cpu().numpy()
        shape = (self.X.shape[0], *one.shape[1:])
        results = np.empty(shape, dtype=one.dtype)

        def work(first: int, every: int) -> None:
            for batch in self._batches(first, every):
                results[batch.where] = function(batch.x).cpu().numpy()

        share_out(work, self._max_workers)
        return results

    def sums(self, summarize: Summary) -> Sums:
        """Sum a function over the batches."""

        def work(first: int, every: int) -> Sums:
            batches = self._batches(first, every)
            return functools.reduce(add, map(summarize, batches))

        return add(*share_out(work, self._max_workers))

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        return to_tensor(self.X[index], double=True).to(self.device)

    @property
    def _max_workers(self) -> int:
        """Maximum number of threads that have a batch each; one on a GPU."""
        if self.device.type != "cpu":
            return 1
        return math.ceil(self.X.shape[0] / self.batch_size)

    def _batches(self, first: int, every: int) -> Iterator[WeightedBatch]:
        """Yield every ``every``-th batch from ``first`` on, in double precision, maybe views."""
        size = self.batch_size
        for start in range(first * size, self.X.shape[0], every * size):
            where = slice(start, start + size)
            x = self._read(self.X[where])
            weight = self._read(self.weight[where])
            yield WeightedBatch(start, x, weight)

    def _read(self, rows: Any) -> Tensor:
        """Return rows as a tensor, without a copy if they are in double precision."""
        is_plain = (
            isinstance(rows, np.ndarray)
            and rows.dtype == np.float64
            and rows.flags.carray
            and min(rows.strides) > 0
        )
        read = torch.from_numpy(rows) if is_plain else to_tensor(rows, double=True)
        return read.to(self.device)


def as_rows(X: np.ndarray, n_clusters: int, kind: str) -> WeightedRows:
    """Return samples of weight one. Arrays that are not float64 are converted in every pass."""
    batch_size = batch_size_for_cache(n_clusters, X.shape[1], kind)
    return WeightedRows(X, np.ones(len(X)), batch_size)


def batch_size_for_cache(n_clusters: int, n_features: int, kind: str) -> int:
    """Return the batch size for which the largest intermediate tensor fits the cache."""
    per_row = max(2 * n_features, n_clusters)
    if kind == "full":
        blocks = gaussian.triangular_blocks(n_features)
        per_row = n_clusters * max(end - first for first, end in blocks)
    return min(max(256, BATCH_ELEMENTS // per_row), 2**14)


# ---- steps


class MStep(NamedTuple):
    """The options of an M-step: the covariance type and the term added to variances."""

    covariance_type: str
    reg_covar: float


def step(
    rows: WeightedRows,
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
        expect = missing.e_step(mixture, about, m_step.covariance_type)
        *found, bound = rows.sums(lambda batch: expect(batch.x, batch.weight))
        stats = SufficientStatistics(*found)
        if learning_rate == 1:
            return stats

        share = learning_rate / rows.total
        past = statistics.implied_statistics(mixture, about, *m_step)
        each = zip(stats, past, strict=True)
        blend = (share * now + (1 - learning_rate) * then for now, then in each)
        return SufficientStatistics(*blend)

    about = mixture.means if gaussian.is_separated(mixture) else mixture.center()
    mixture_next = _sum_and_maximize(sums, about, m_step)
    return mixture_next, float(bound) / rows.total


def fit_responsibilities(
    rows: WeightedRows,
    resp: Responsibilities,
    about: Tensor,
    m_step: MStep,
) -> Mixture:
    """Return the M-step over all samples of given responsibilities; ``about`` fills gaps."""

    def sums(shift: Tensor) -> SufficientStatistics:
        def summarize(batch: WeightedBatch) -> Sums:
            x = torch.where(batch.x.isnan(), about, batch.x)
            weighted = resp(batch._replace(x=x)) * batch.weight[:, None]
            return sufficient_statistics(x, weighted, shift, m_step.covariance_type)

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
        shift = statistics.own_shift(stats, about, *m_step)
        if shift is None:
            break
        about = shift
        stats = sums(about)
    return statistics.maximize(stats, about, *m_step)


def m_step(
    X: np.ndarray,
    resp: np.ndarray,
    kind: str,
    reg_covar: float,
) -> Mixture:
    """Return the M-step over samples X (N, D) and responsibilities (N, K), on the CPU."""
    given = torch.as_tensor(resp, dtype=torch.float64, device="cpu")
    about = torch.from_numpy(X.mean(0, dtype=np.float64))
    rows = as_rows(X, resp.shape[1], kind)
    options = MStep(kind, reg_covar)

    def responsibilities(batch: WeightedBatch) -> Tensor:
        return given[batch.where]

    return fit_responsibilities(rows, responsibilities, about, options)


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
        counts = torch.zeros(len(weights), dtype=torch.long, device="cpu")
        counts[heavy] = 1
        now = Mixture(weights, means, scales)
        means[k] = gaussian.sample(now, counts, generator)[0]

        weights[[k, heavy]] = weights[heavy] / 2
        if len(scales) == len(weights):
            scales[k] = scales[heavy]
    return Mixture((weights / weights.sum()).log(), means, scales)


# ---- iterations


@dataclass
class EMRun:
    """One EM run: the last mixture, the bound of each iteration, and whether it converged."""

    mixture: Mixture
    bound: float = -math.inf
    bounds: list[float] = field(default_factory=list)
    converged: bool = False


def run_em(
    rows: WeightedRows,
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

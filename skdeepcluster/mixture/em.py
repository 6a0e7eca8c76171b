"""Expectation maximization over stored samples: :func:`fit`, :func:`m_step`, :func:`posterior`.

Statistics are summed in double precision, one batch at a time; X is never copied as a whole.
Letters: N samples, D features, K clusters.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..engine.data import to_tensor
from ..engine.runtime import share_out
from ..functional import gaussian, missing
from ..functional.gaussian import Mixture, SufficientStatistics

#: The positions of a batch among all samples, the batch (N, D) and its weights (N,).
Batch = tuple[slice, Tensor, Tensor]
#: (positions of a batch, the batch) -> responsibilities (N, K).
Responsibilities = Callable[[slice, Tensor], Tensor]
#: Tensors that add up over batches.
Sums = tuple[Tensor, ...]

#: Number of elements of the largest intermediate tensor of a batch: 4 MiB fit a processor's cache.
BATCH_ELEMENTS = 2**19


def choose_batch_size(n_clusters: int, n_features: int, covariance_type: str) -> int:
    """Return the batch size for which the largest intermediate tensor fits the cache."""
    if covariance_type == "full":
        widest = max(
            end - first for first, end in gaussian.triangular_blocks(n_features)
        )
        per_row = n_clusters * widest
    else:
        per_row = max(2 * n_features, n_clusters)
    return min(max(256, BATCH_ELEMENTS // per_row), 2**14)


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

    def batches(self, first: int, every: int) -> Iterator[Batch]:
        """Yield every ``every``-th batch from ``first`` on, in double precision, maybe views."""
        for start in range(
            first * self.batch_size, self.X.shape[0], every * self.batch_size
        ):
            where = slice(start, start + self.batch_size)
            x, weight = self._tensor(self.X[where]), self._tensor(self.weight[where])
            yield where, x.to(self.device), weight.to(self.device)

    @property
    def max_workers(self) -> int:
        """Maximum number of threads that have a batch each; one on a GPU."""
        return (
            -(-self.X.shape[0] // self.batch_size) if self.device.type == "cpu" else 1
        )

    def _tensor(self, rows: Any) -> Tensor:
        """Return rows as a tensor, without a copy if they are in double precision."""
        plain = (
            isinstance(rows, np.ndarray) and rows.flags.carray and min(rows.strides) > 0
        )
        if plain and rows.dtype == np.float64:
            return torch.from_numpy(rows)
        return to_tensor(rows, double=True)

    def map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Apply a row-wise function to all samples; return the results in their order."""
        found = function(self._tensor(self.X[:1]).to(self.device)).cpu().numpy()
        results = np.empty((self.X.shape[0], *found.shape[1:]), dtype=found.dtype)

        def work(first: int, every: int) -> None:
            for where, x, _ in self.batches(first, every):
                results[where] = function(x).cpu().numpy()

        share_out(work, self.max_workers)
        return results

    def sums(self, make: Callable[[], Callable[[Batch], Sums]]) -> Sums:
        """Sum a function over the batches. ``make`` returns one function for each thread."""

        def work(first: int, every: int) -> Sums:
            return functools.reduce(add, map(make(), self.batches(first, every)))

        return functools.reduce(add, share_out(work, self.max_workers))

    def take(self, index: np.ndarray) -> Tensor:
        """Return the samples at the given positions."""
        return to_tensor(self.X[index], double=True).to(self.device)


class MStep(NamedTuple):
    """The options of an M-step: the covariance type and the term added to variances."""

    covariance_type: str
    reg_covar: float

    def __call__(self, stats: SufficientStatistics, about: Tensor) -> Mixture:
        """Return the mixture that maximizes the expected log-likelihood."""
        return gaussian.maximize(stats, about, self.covariance_type, self.reg_covar)


def add(first: Sums, second: Sums) -> Sums:
    """Add sums of the same kind."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _sum_and_maximize(
    sums: Callable[[Tensor], SufficientStatistics], about: Tensor, m_step: MStep
) -> Mixture:
    """Return the M-step. Where squares about the shift cancel, sum about each mean instead."""
    stats = sums(about)
    for _ in range(3):
        shift = gaussian.own_shift(stats, about, *m_step)
        if shift is None:
            break
        stats, about = sums(shift), shift
    return m_step(stats, about)


def maximize(
    rows: WeightedRows, resp: Responsibilities, about: Tensor, m_step: MStep
) -> Mixture:
    """Return the M-step over all samples of given responsibilities; ``about`` fills gaps."""

    def sums(shift: Tensor) -> SufficientStatistics:
        def summarize(batch: Batch) -> Sums:
            where, x, weight = batch
            x = torch.where(x.isnan(), about, x) if missing.misses_values(x) else x
            weighted = resp(where, x) * weight.unsqueeze(1)
            return gaussian.sufficient_statistics(
                x, weighted, shift, m_step.covariance_type
            )

        return SufficientStatistics(*rows.sums(lambda: summarize))

    return _sum_and_maximize(sums, about, m_step)


def step(
    rows: WeightedRows, mixture: Mixture, m_step: MStep, learning_rate: float = 1.0
) -> tuple[Mixture, float]:
    """Return the next mixture, and the mean log-likelihood under the one before.

    With a learning rate below one (stepwise EM), the statistics of the samples are averaged with
    the statistics of the mixture.
    """
    bound = torch.zeros(())

    def sums(about: Tensor) -> SufficientStatistics:
        nonlocal bound

        def make() -> Callable[[Batch], Sums]:
            expect = missing.expected_statistics(mixture, about, m_step.covariance_type)

            def summarize(batch: Batch) -> Sums:
                stats, log_likelihood = expect(*batch[1:])
                return (*stats, log_likelihood)

            return summarize

        *found, bound = rows.sums(make)
        stats = SufficientStatistics(*found)
        if learning_rate == 1:
            return stats
        past = gaussian.implied_statistics(mixture, about, *m_step).times(
            1 - learning_rate
        )
        return SufficientStatistics(*add(stats.times(learning_rate / rows.total), past))

    about = mixture.means if gaussian.is_separated(mixture) else mixture.center()
    mixture_next = _sum_and_maximize(sums, about, m_step)
    return mixture_next, float(bound) / rows.total


@dataclass
class Run:
    """One EM run: the last mixture, the bound of each iteration, and whether it converged."""

    mixture: Mixture
    bound: float = -math.inf
    bounds: list[float] = field(default_factory=list)
    converged: bool = False


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
    """Run EM from several initial mixtures; return the run with the highest final bound.

    A run converges when the mean log-likelihood, the bound, changes by less than ``tol``.
    ``bound`` is the last bound of a run that this run continues. ``report`` is called with the
    number of the run, the iteration, the bound and its change.
    """
    best = None
    for i, start in enumerate(starts):
        report(i, 0, bound, math.inf)
        run = _run(rows, start, m_step, max_iter, tol, bound, partial(report, i))
        # Rounding must not decide between runs that found the same mixture.
        if best is None or run.bound - best.bound > 1e-9 * abs(best.bound):
            best = run
    assert best is not None, "starts must not be empty"
    return best


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
    for i in range(1, max_iter + 1):
        run.mixture, bound = step(rows, run.mixture, m_step)
        change, run.bound = bound - run.bound, bound
        run.bounds.append(bound)
        report(i, bound, change)
        if abs(change) < tol:
            run.converged = True
            break
    return run


def as_rows(X: np.ndarray, n_clusters: int, covariance_type: str) -> WeightedRows:
    """Return samples of weight one. Arrays that are not float64 are converted in every pass."""
    batch_size = choose_batch_size(n_clusters, X.shape[1], covariance_type)
    return WeightedRows(X, np.ones(len(X)), batch_size)


def m_step(
    X: np.ndarray, resp: np.ndarray, covariance_type: str, reg_covar: float
) -> Mixture:
    """Return the M-step over samples X (N, D) and responsibilities (N, K), on the CPU."""
    given = torch.as_tensor(resp, dtype=torch.float64, device="cpu")
    about = torch.from_numpy(X.mean(0, dtype=np.float64))
    rows = as_rows(X, resp.shape[1], covariance_type)
    return maximize(
        rows, lambda where, _: given[where], about, MStep(covariance_type, reg_covar)
    )


def posterior(X: np.ndarray, mixture: Mixture) -> np.ndarray:
    """Return the responsibilities p(k | x_n) of a mixture, (N, K), float64."""
    log_joint = gaussian.joint_density(mixture)
    covariance_type = "full" if mixture.scales.ndim == 3 else "diag"
    rows = as_rows(X, len(mixture.means), covariance_type)
    return rows.map(lambda x: log_joint(x).softmax(1))


def reseed_starved(
    mixture: Mixture, least: float, generator: torch.Generator
) -> Mixture:
    """Replace each component whose weight is below ``least`` by part of the heaviest component.

    It takes half of its weight, its covariance, and one of its samples as the mean.
    """
    weights, means, scales = (
        mixture.log_weights.exp(),
        *(field.clone() for field in mixture[1:]),
    )
    for k in (weights < least).nonzero().squeeze(1).tolist():
        heavy = int(weights.argmax())
        counts = torch.zeros(len(weights), dtype=torch.long, device="cpu")
        counts[heavy] = 1
        means[k] = gaussian.sample(Mixture(weights, means, scales), counts, generator)[
            0
        ]
        weights[[k, heavy]] = weights[heavy] / 2
        if len(scales) == len(weights):
            scales[k] = scales[heavy]
    return Mixture((weights / weights.sum()).log(), means, scales)

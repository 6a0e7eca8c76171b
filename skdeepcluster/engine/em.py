"""EM over stored rows: sums over batches.

Rows may be an array, a read-only memory map or a CSR matrix, with weights. Whatever their type,
sums are taken in double precision, a batch at a time; the data are never copied as a whole.
"""

import functools
import itertools
import math
import mmap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..functional import gaussian, moments
from ..functional.gaussian import Mixture
from ..functional.moments import Moments
from .batches import to_tensor
from .threads import share_out

#: Where a batch stands, its rows (N, D) and their weights (N,).
Batch = tuple[slice, Tensor, Tensor]
#: (where a batch stands, its rows) -> responsibilities (N, K).
Responsibilities = Callable[[slice, Tensor], Tensor]
#: Tensors that add up over batches.
Sums = tuple[Tensor, ...]

#: Numbers to a batch: small enough for a processor's cache, large enough for its products.
BATCH_NUMBERS = 2**19
#: Batches after which the pages of a memory map are handed back.
BATCHES_TO_RELEASE = 32


def rows_to_batch(n_clusters: int, n_features: int, covariance_type: str) -> int:
    """Return how many rows make EM fast: as many as its largest tensors keep in cache."""
    full = covariance_type == "full"
    per_row = n_clusters * n_features if full else 4 * n_features + 2 * n_clusters
    return min(max(256, BATCH_NUMBERS // per_row), 2**14)


def release(X: Any) -> None:
    """Hand back the memory of a read-only map that has been read; it is read again on demand."""
    while X is not None and not (isinstance(X, np.memmap) and X.mode == "r"):
        X = getattr(X, "base", None)
    buffer = getattr(X, "base", None)
    while isinstance(buffer, np.ndarray):
        buffer = buffer.base
    if isinstance(buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        buffer.madvise(mmap.MADV_DONTNEED)


class WeightedRows:
    """Rows and their weights, as batches in double precision.

    Parameters
    ----------
    X : array, memory map or CSR matrix of shape (N, D)
    weight : array of shape (N,)
        At least 0.
    batch_size : int
    device : torch.device
    """

    def __init__(
        self, X: Any, weight: np.ndarray, batch_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.X = X
        self.weight = weight
        self.batch_size = batch_size
        self.device = torch.device(device)
        self.total = float(weight.sum())

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches."""
        return self.batches()

    def batches(self, first: int = 0, every: int = 1) -> Iterator[Batch]:
        """Yield batches: where each stands, its rows and their weights; read, never written."""
        starts = range(first * self.batch_size, self.X.shape[0], every * self.batch_size)
        for i, start in enumerate(starts):
            where = slice(start, start + self.batch_size)
            x, weight = self._tensor(self.X[where]), self._tensor(self.weight[where])
            yield where, x.to(self.device), weight.to(self.device)
            if i % BATCHES_TO_RELEASE == BATCHES_TO_RELEASE - 1:
                release(self.X)
        release(self.X)

    @property
    def most_shares(self) -> int:
        """Number of batches, or one where a GPU does the work."""
        return -(-self.X.shape[0] // self.batch_size) if self.device.type == "cpu" else 1

    def _tensor(self, rows: Any) -> Tensor:
        """Rows as a tensor, without a copy where they are in double precision already."""
        plain = isinstance(rows, np.ndarray) and rows.flags.carray and min(rows.strides) > 0
        if plain and rows.dtype == np.float64:
            return torch.from_numpy(rows)
        return to_tensor(rows, torch.float64)

    def map(self, function: Callable[[Tensor], Tensor]) -> np.ndarray:
        """Return what a row-wise function says of all rows, in their order."""

        def share(first: int, every: int, stop: threading.Event) -> list[np.ndarray]:
            batches = itertools.takewhile(lambda _: not stop.is_set(), self.batches(first, every))
            return [function(x).cpu().numpy() for _, x, _ in batches]

        rounds = itertools.zip_longest(*share_out(share, self.most_shares))
        return np.concatenate([part for turn in rounds for part in turn if part is not None])

    def sums(self, start: Callable[[], Callable[[Batch], Sums]]) -> Sums:
        """Add up what a function makes of each batch; every thread calls ``start`` for its own."""

        def share(first: int, every: int, stop: threading.Event) -> Sums:
            part = start()
            batches = itertools.takewhile(lambda _: not stop.is_set(), self.batches(first, every))
            return functools.reduce(add, map(part, batches))

        return functools.reduce(add, share_out(share, self.most_shares))

    def take(self, index: np.ndarray) -> Tensor:
        """Return chosen rows."""
        parts = []
        # A few at a time: reading one row of a memory map may bring in two megabytes around it.
        for i in range(0, len(index), 64):
            parts.append(to_tensor(self.X[index[i : i + 64]], torch.float64))
            release(self.X)
        return torch.cat(parts).to(self.device)


class MStep(NamedTuple):
    """How moments become a mixture."""

    covariance_type: str
    reg_covar: float

    def __call__(self, stats: Moments, about: Tensor) -> Mixture:
        """Return the maximiser of the moments about a shift."""
        return moments.maximise(stats, about, self.covariance_type, self.reg_covar)


def add(first: Sums, second: Sums) -> Sums:
    """Add sums of the same kind."""
    return tuple(a + b for a, b in zip(first, second, strict=True))


def weighted_sums(
    rows: WeightedRows, resp: Responsibilities, about: Tensor, covariance_type: str
) -> Moments:
    """Return the moments of all rows under given responsibilities."""

    def part(batch: Batch) -> Sums:
        where, x, weight = batch
        return moments.moments(x, resp(where, x) * weight.unsqueeze(1), about, covariance_type)

    return Moments(*rows.sums(lambda: part))


def e_step(
    rows: WeightedRows, mixture: Mixture, about: Tensor, covariance_type: str
) -> tuple[Moments, float]:
    """Return the moments of all rows about a shift, and their mean log-likelihood."""

    def start() -> Callable[[Batch], Sums]:
        expect = moments.expectation(mixture, about, covariance_type)

        def part(batch: Batch) -> Sums:
            stats, log_likelihood = expect(*batch[1:])
            return (*stats, log_likelihood)

        return part

    *stats, evidence = rows.sums(start)
    return Moments(*stats), float(evidence) / rows.total


def step(
    rows: WeightedRows, mixture: Mixture, m_step: MStep, learning_rate: float = 1.0
) -> tuple[Mixture, float]:
    """Return the next mixture, and the mean log-likelihood under the one before.

    A learning rate below one averages the moments of the rows with those behind the mixture.
    """
    about = mixture.centre()
    stats, bound = e_step(rows, mixture, about, m_step.covariance_type)
    if learning_rate < 1:
        past = moments.implied_moments(mixture, about, *m_step)
        stats = stats.times(learning_rate / rows.total).plus(past.times(1 - learning_rate))
    return m_step(stats, about), bound


@dataclass
class Run:
    """One EM run: where it ended, the bound at each iteration, and why it ended."""

    mixture: Mixture
    bound: float = -math.inf
    bounds: list[float] = field(default_factory=list)
    converged: bool = False
    interrupted: bool = False

    def beats(self, other: "Run") -> bool:
        """Whether the bound is higher, by more than rounding: equal runs keep their order."""
        return self.bound - other.bound > 1e-9 * abs(other.bound)


def run(
    rows: WeightedRows,
    start: Mixture,
    m_step: MStep,
    max_iter: int,
    tol: float,
    bound: float = -math.inf,
    report: Callable[[int, float, float], None] = lambda *_: None,
) -> Run:
    """EM from one start; Ctrl-C ends it with the mixture so far.

    Parameters
    ----------
    rows : WeightedRows
    start : Mixture
    m_step : MStep
    max_iter : int
    tol : float
        Converged is a bound that changes by less.
    bound : float
        The last bound of an earlier run that this one continues.
    report : callable
        Called with iteration, bound and its change.

    Returns
    -------
    Run
    """
    done = Run(start, bound)
    try:
        for i in range(1, max_iter + 1):
            done.mixture, bound = step(rows, done.mixture, m_step)
            change, done.bound = bound - done.bound, bound
            done.bounds.append(bound)
            report(i, bound, change)
            if abs(change) < tol:
                done.converged = True
                break
    except KeyboardInterrupt:
        done.interrupted = True
    return done


def reseeded(mixture: Mixture, least: float, generator: torch.Generator) -> Mixture:
    """Return the mixture with every component lighter than ``least`` placed in the heaviest one.

    Parameters
    ----------
    mixture : Mixture
    least : float
        Weight below which a component is starved.
    generator : torch.Generator
        Draws the new means.

    Returns
    -------
    Mixture
        A starved component takes half of the rows of the heaviest, its mean drawn from it.
    """
    weights, means, scales = mixture.log_weights.exp(), mixture.means.clone(), mixture.scales
    scales = scales.clone()
    for k in (weights < least).nonzero().squeeze(1).tolist():
        heavy = int(weights.argmax())
        counts = torch.zeros(len(weights), dtype=torch.long)
        counts[heavy] = 1
        means[k] = gaussian.sample(Mixture(weights, means, scales), counts, generator)[0]
        weights[[k, heavy]] = weights[heavy] / 2
        if len(scales) == len(weights):
            scales[k] = scales[heavy]
    return Mixture((weights / weights.sum()).log(), means, scales)

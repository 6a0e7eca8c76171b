"""What is computed over all rows of a batch, also when they lie in several processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor


class Split(Protocol):
    """How a batch lies in several processes."""

    def all_rows(self, x: Tensor) -> Tensor:
        """Bring the rows of all processes together, with gradient."""

    def own_rows(self, whole: Tensor) -> Tensor:
        """Keep the rows of this process."""


_split: ContextVar[Split | None] = ContextVar("split", default=None)


def all_rows(x: Tensor) -> Tensor:
    """Rows of the whole batch, (N, ...), from those of this process; usually these are all.

    Gradients go back to the process that a row comes from.
    """
    split = _split.get()
    return x if split is None else split.all_rows(x)


def own_rows(whole: Tensor) -> Tensor:
    """Rows of this process among those of the whole batch; usually all."""
    split = _split.get()
    return whole if split is None else split.own_rows(whole)


@contextmanager
def split_by(split: Split) -> Iterator[None]:
    """Within the block the rows that functions are given are one part of a batch."""
    token = _split.set(split)
    try:
        yield
    finally:
        _split.reset(token)

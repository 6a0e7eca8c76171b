"""HistoryDisplay: the terms of a loss over the epochs."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np

from .base import COLORS, Display, check_has, take_last_step

#: Maximum number of panels side by side.
MAX_COLUMNS = 4
#: Numbers in a record that are not drawn by default.
OTHERS = "epoch", "dur", "training"
#: Plain names of terms, without the network that they belong to.
WORDS = {"fake": "generated", "kl": "KL divergence", "start": "initial partition"}
WORDS |= {"train_loss": "total loss"}


@dataclass(eq=False, repr=False)
class HistoryDisplay(Display):
    """Loss curves, with a panel for each term.

    Parameters
    ----------
    history : list of dict
        One record per epoch, with the loss terms by name. A record may lack terms.
    name : str, default=None

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each term.

    See Also
    --------
    NumberOfClustersDisplay : How the number of clusters was chosen.

    Examples
    --------
    >>> from skdeepcluster.display import HistoryDisplay
    >>> history = [{"epoch": 1, "kl": 3.0}, {"epoch": 2, "kl": 2.0}]
    >>> list(HistoryDisplay(history).plot().axes_)
    ['kl']
    """

    history: Sequence[dict[str, Any]]

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs) -> Self:
        """Draw the ``history_`` of a fitted network, or the ``lower_bounds_`` of a mixture."""
        estimator, name = take_last_step(estimator, name)
        if hasattr(estimator, "history_"):
            return cls(estimator.history_, name=name).plot(ax, **kwargs)
        check_has(estimator, "lower_bounds_")
        bounds = [{"lower bound": value} for value in estimator.lower_bounds_]
        return cls(bounds, name=name).plot(ax, **kwargs)

    def plot(self, ax=None, *, terms: Sequence[str] | None = None, **kwargs) -> Self:
        """Draw the `terms`, by default all except "dur" and "training", by ``Axes.plot``."""
        keys = dict.fromkeys(key for record in self.history for key in record)
        found = [key for key in keys if np.isfinite(self._read(key)).any()]
        terms = (
            [term for term in found if term not in OTHERS]
            if terms is None
            else list(terms)
        )
        if not terms or set(terms) - set(found):
            raise ValueError(
                f"There are no terms {terms} to draw. The history has {found}."
            )
        panels = self._open_panels(ax, (3.2, 2.5), len(terms), MAX_COLUMNS)
        self.axes_ = dict(zip(terms, panels, strict=True))
        steps = np.arange(1, len(self.history) + 1)
        for term, panel in self.axes_.items():
            values = self._read(term)
            known = np.isfinite(values)
            style = {
                "color": COLORS[0],
                "marker": "o" if known.sum() == 1 else "",
                **kwargs,
            }
            panel.plot(steps[known], values[known], **style)
            network, _, word = term.partition("_")
            title = WORDS.get(
                term, f"{network}: {WORDS.get(word, word)}" if word else term
            )
            panel.set_title(title.replace("_", " "), fontsize="medium")
            panel.grid(alpha=0.3)
            panel.set_xlim(0.5, len(steps) + 0.5)
            panel.locator_params(axis="x", nbins=5, integer=True)
            panel.set_xlabel("epoch" if "epoch" in keys else "iteration")
        return self

    def _read(self, key):
        """Return the values of all records as floats, with NaN for all except numbers."""
        values = (record.get(key) for record in self.history)
        return np.array([float(v) if isinstance(v, Real) else np.nan for v in values])

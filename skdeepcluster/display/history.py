"""HistoryDisplay: the terms of a loss over the epochs."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, Self

import numpy as np

from .base import COLORS, Display, check_has, name_estimator, take_last_step

#: Maximum number of panels side by side.
MAX_COLUMNS = 4
#: Numbers in a record that are not drawn by default.
OTHERS = "dur", "training"
#: Plain words for parts of the names of terms.
WORDS = {"dur": "seconds per epoch", "train": "training", "vae": "", "vade": ""}
WORDS |= {"kl": "KL divergence", "start": "initial partition"}
WORDS |= {"fake": "generated samples", "real": "real samples"}
WORDS |= {part: f"{part}:" for part in ("autoencoder", "critic", "discriminator", "generator")}


@dataclass(eq=False, repr=False)
class HistoryDisplay(Display):
    """Loss curves, with a panel for each term.

    Parameters
    ----------
    history : list of dict
        One record per epoch, with the number of the epoch and the loss terms by name. A record
        may lack terms. Values that are not numbers are not drawn.
    step : str, default="epoch"
        Key of the horizontal axis. If it is missing or does not increase, as in a second phase of
        training, the records are numbered.
    name : str, default=None
        Title.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each term.

    See Also
    --------
    skdeepcluster.VaDEClustering : One of the estimators with a ``history_``.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import HistoryDisplay
    >>> history = [{"epoch": 1, "kl": 3.0}, {"epoch": 2, "kl": 2.0}]
    >>> HistoryDisplay(history).plot().axes_["kl"].get_title()
    'KL divergence'
    >>> plt.close("all")
    """

    history: Sequence[dict[str, Any]]
    _: KW_ONLY
    step: str = "epoch"

    @classmethod
    def from_estimator(cls, estimator, *, name: str | None = None, ax=None, **kwargs) -> Self:
        """Draw the ``history_`` of a fitted network, or the ``lower_bounds_`` of a mixture."""
        name, estimator = name_estimator(estimator, name), take_last_step(estimator)
        if hasattr(estimator, "history_"):
            return cls(estimator.history_, name=name).plot(ax, **kwargs)
        check_has(estimator, "Pass records to HistoryDisplay(history).", "lower_bounds_")
        bounds = [
            {"iteration": i, "lower bound": value}
            for i, value in enumerate(estimator.lower_bounds_, start=1)
        ]
        return cls(bounds, step="iteration", name=name).plot(ax, **kwargs)

    def plot(
        self, ax=None, *, name: str | None = None, terms: Sequence[str] | None = None, **kwargs
    ) -> Self:
        """Draw the `terms`, by default all except "dur" and "training", by ``Axes.plot``."""
        keys = dict.fromkeys(key for record in self.history for key in record if key != self.step)
        found = [key for key in keys if np.isfinite(self._read(key)).any()]
        terms = [term for term in found if term not in OTHERS] if terms is None else list(terms)
        if not terms or set(terms) - set(found):
            raise ValueError(f"There are no terms {terms} to draw. The history has {found}.")
        steps, label = self._read(self.step), self.step
        if not (np.isfinite(steps).all() and (np.diff(steps) > 0).all()):
            steps, label = np.arange(1.0, len(steps) + 1), "record"
        panels, n_columns = self._open_panels(ax, (3.2, 2.5), name, len(terms), MAX_COLUMNS)
        self.axes_ = dict(zip(terms, panels, strict=True))
        for k, (term, panel) in enumerate(self.axes_.items()):
            values = self._read(term)
            known = np.isfinite(values)
            style = {"color": COLORS[0], "marker": "o" if known.sum() == 1 else "", **kwargs}
            panel.plot(steps[known], values[known], **style)
            words = [WORDS.get(word, word) for word in term.split("_")]
            panel.set_title(" ".join(filter(None, words)), fontsize="medium")
            panel.grid(alpha=0.3)
            panel.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
            panel.locator_params(axis="x", nbins=5, integer=True)
            if k >= len(terms) - n_columns:
                panel.set_xlabel(label)
        return self

    def _read(self, key):
        """Return the values of all records as floats, with NaN for all except numbers."""
        values = (record.get(key) for record in self.history)
        return np.array([float(v) if isinstance(v, Real) else np.nan for v in values])

"""HistoryDisplay: the terms of a loss over the epochs."""

from collections.abc import Sequence
from numbers import Real
from typing import Self

import numpy as np

from .axes import COLORS, choose_grid, divide_axes, make_axes, name_estimator, take_last_step

#: Most panels side by side.
MOST_COLUMNS = 4
#: Numbers of a record that are no terms: seconds, and which training of a fit it is of.
OTHERS = "dur", "training"


class HistoryDisplay:
    """Loss curves: one panel for each term, since the terms of a loss differ in size.

    Parameters
    ----------
    history : list of dict
        One record per epoch: the key ``"epoch"`` (or `step`) and the loss terms by name. Terms
        may be missing from some records; values that are no numbers, and ``"dur"``, the
        seconds of the epoch, are not drawn unless asked for by ``plot(terms=...)``.
    step : str, default="epoch"
        The key of the horizontal axis. Where it is missing or does not increase (a second phase
        of training), records are numbered instead.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each term.
    ax_, figure_ : matplotlib Axes and Figure
        Where it is drawn; the axes hold the panels.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import HistoryDisplay
    >>> history = [{"epoch": 1, "kl": 3.0}, {"epoch": 2, "kl": 2.0}]
    >>> list(HistoryDisplay(history).plot().axes_)
    ['kl']
    >>> plt.close("all")
    """

    def __init__(self, history, *, step: str = "epoch", name: str | None = None) -> None:
        self.history = history
        self.step = step
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name: str | None = None, ax=None, **kwargs) -> Self:
        """Draw the ``history_`` of a network, or the ``lower_bounds_`` of a mixture.

        Parameters
        ----------
        estimator : fitted estimator
            With ``history_`` (a list of dict) or ``lower_bounds_`` (one number per iteration).
        name, ax, **kwargs
            As of `plot`; the title is the name of the estimator's class if None.

        Returns
        -------
        display : HistoryDisplay
        """
        estimator = take_last_step(estimator)
        name = name_estimator(estimator) if name is None else name
        if hasattr(estimator, "history_"):
            return cls(estimator.history_, name=name).plot(ax=ax, **kwargs)
        if not hasattr(estimator, "lower_bounds_"):
            raise ValueError(
                f"{type(estimator).__name__} has neither history_ nor lower_bounds_; "
                "pass records to HistoryDisplay(history)."
            )
        bounds = [
            {"iteration": i, "lower bound": value}
            for i, value in enumerate(estimator.lower_bounds_, start=1)
        ]
        return cls(bounds, step="iteration", name=name).plot(ax=ax, **kwargs)

    def plot(
        self, ax=None, *, name: str | None = None, terms: Sequence[str] | None = None, **kwargs
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, divided into panels; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        terms : list of str, default=None
            The terms to draw; all but "dur" and "training" if None.
        **kwargs : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        display : HistoryDisplay
            The display itself.
        """
        found = self._find_terms()
        terms = [terms] if isinstance(terms, str) else terms
        terms = [term for term in found if term not in OTHERS] if terms is None else list(terms)
        if not terms or set(terms) - set(found):
            raise ValueError(f"No such terms to draw: {terms}. The history holds {found}.")
        label, steps = self._choose_steps()
        rows, columns = choose_grid(len(terms), MOST_COLUMNS)
        self.figure_, self.ax_ = make_axes(ax, (3.2 * columns, 2.5 * rows + 0.3))
        name = self.name if name is None else name
        axes = divide_axes(self.ax_, len(terms), MOST_COLUMNS, name=name)
        self.axes_ = dict(zip(terms, axes, strict=True))
        for k, (term, panel) in enumerate(self.axes_.items()):
            values = self._read(term)
            drawn = np.isfinite(values)
            marker = "o" if drawn.sum() == 1 else ""
            style = {"color": COLORS[0], "marker": marker, **kwargs}
            panel.plot(steps[drawn], values[drawn], **style)
            panel.set_title(term.replace("_", " "), fontsize="medium")
            panel.grid(alpha=0.3)
            panel.set_xlim(steps[0] - 0.5, steps[-1] + 0.5)
            panel.locator_params(axis="x", nbins=5, integer=True)
            if k >= len(terms) - columns:
                panel.set_xlabel(label)
        return self

    def _find_terms(self):
        names = dict.fromkeys(key for record in self.history for key in record if key != self.step)
        return [name for name in names if np.isfinite(self._read(name)).any()]

    def _choose_steps(self):
        steps = self._read(self.step)
        if np.isfinite(steps).all() and np.all(np.diff(steps) > 0):
            return self.step, steps
        return "record", np.arange(1.0, len(steps) + 1)

    def _read(self, key):
        """Return the values of all records as floats, NaN for anything but a number."""
        values = (record.get(key) for record in self.history)
        return np.array([float(v) if _is_number(v) else np.nan for v in values])


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)

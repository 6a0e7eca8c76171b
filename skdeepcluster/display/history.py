"""HistoryDisplay: the terms of a loss over the epochs."""

import math
from numbers import Real

import numpy as np

from .axes import COLORS, axes_or_new, grid_size, panels

MOST_COLUMNS = 4


class HistoryDisplay:
    """Loss curves: one panel for each term, since the terms of a loss differ in size.

    Parameters
    ----------
    history : list of dict
        One record per epoch: the key ``"epoch"`` (or `step`) and the loss terms by name. Terms
        may be missing from some records; values that are no numbers, and ``"dur"``, the seconds
        of the epoch, are not drawn unless asked for by ``plot(terms=...)``.
    step : str, default="epoch"
        The key of the horizontal axis. Where it is missing or does not increase (a second phase
        of training), records are numbered instead.
    name : str, default=None
        Title of the picture.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        The panel of each term.
    ax_ : matplotlib Axes
        The axes that hold the panels.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdeepcluster.display import HistoryDisplay
    >>> history = [{"epoch": 1, "kl": 3.0}, {"epoch": 2, "kl": 2.0}]
    >>> list(HistoryDisplay(history).plot().axes_)
    ['kl']
    >>> plt.close("all")
    """

    def __init__(self, history, *, step="epoch", name=None):
        self.history = history
        self.step = step
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **kwargs):
        """Draw the ``history_`` of a network, or the ``lower_bounds_`` of a mixture.

        Parameters
        ----------
        estimator : fitted estimator
            With ``history_`` (a list of dict) or ``lower_bounds_`` (one number per iteration).
        name : str, default=None
            Title; the name of the estimator's class if None.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : HistoryDisplay
        """
        name = type(estimator).__name__ if name is None else name
        if hasattr(estimator, "history_"):
            return cls(estimator.history_, name=name).plot(ax=ax, **kwargs)
        if not hasattr(estimator, "lower_bounds_"):
            raise ValueError(
                f"{type(estimator).__name__} has neither history_ nor lower_bounds_; "
                "fit it first, or pass records to HistoryDisplay(history)."
            )
        bounds = [
            {"iteration": i, "lower bound": value}
            for i, value in enumerate(estimator.lower_bounds_, start=1)
        ]
        return cls(bounds, step="iteration", name=name).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, terms=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, divided into panels; a new figure if None.
        name : str, default=None
            Title in place of the display's own.
        terms : list of str, default=None
            The terms to draw; all if None.
        **kwargs : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        display : HistoryDisplay
            The display itself.
        """
        found = self._terms()
        terms = [term for term in found if term != "dur"] if terms is None else list(terms)
        if not terms or set(terms) - set(found):
            raise ValueError(f"No such terms to draw: {terms}. The history holds {found}.")
        label, steps = self._steps()
        rows, columns = grid_size(len(terms), MOST_COLUMNS)
        size = (3.2 * columns, 2.5 * rows + 0.3)
        self.figure_, self.ax_ = axes_or_new(ax, size)
        axes = panels(self.ax_, len(terms), MOST_COLUMNS, name=self.name if name is None else name)
        self.axes_ = dict(zip(terms, axes, strict=True))
        for k, (term, panel) in enumerate(self.axes_.items()):
            values = np.array([_number(record.get(term)) for record in self.history])
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

    def _terms(self):
        names = dict.fromkeys(key for record in self.history for key in record)
        return [
            key
            for key in names
            if key != self.step and any(np.isfinite(_number(r.get(key))) for r in self.history)
        ]

    def _steps(self):
        steps = np.array([_number(record.get(self.step)) for record in self.history])
        if np.isfinite(steps).all() and np.all(np.diff(steps) > 0):
            return self.step, steps
        return "record", np.arange(1.0, len(steps) + 1)


def _number(value):
    """Return the value as a float, NaN for anything but a number."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return float(value) if is_number else math.nan

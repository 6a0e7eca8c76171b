"""Progress of a fit: a bar over its steps, or lines where no terminal is."""

import sys

from tqdm.auto import tqdm

#: Minimum number of seconds between two lines if there is no terminal.
SECONDS_BETWEEN_LINES = 5.0


class _Lines:
    """Standard error, on which tqdm writes lines instead of redrawing one."""

    def write(self, text):
        line = text.strip()
        if line:
            sys.stderr.write(f"{line}\n")

    def flush(self):
        sys.stderr.flush()


class Progress:
    """A bar that shows the phases of a fit and counts steps.

    The fit runs within this context. It calls :meth:`plan` when the number of steps is known and
    :meth:`begin` at each phase.
    """

    def __init__(self, title="", is_shown=False):
        options = {}
        if not sys.stderr.isatty():
            options = {"file": _Lines(), "mininterval": SECONDS_BETWEEN_LINES}
        self.bar = tqdm(desc=title, unit="step", disable=not is_shown, **options)
        self._phase = ""
        self._n_begun = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self._end_phase()
        self.bar.close()

    def plan(self, n_steps):
        """Set the number of steps of the fit."""
        self.bar.total = n_steps

    def begin(self, phase, n_steps=0):
        """Begin a phase with this many steps; the steps of earlier phases are over."""
        self._end_phase()
        self._phase = phase
        self._n_begun += n_steps
        self.bar.set_postfix_str(phase)

    def step(self):
        """Count a step."""
        self.bar.update()

    def show(self, detail):
        """Write a detail after the phase, when the bar is drawn again."""
        self.bar.set_postfix_str(f"{self._phase}, {detail}", refresh=False)

    def _end_phase(self):
        """Count the steps that the phase has left out."""
        self.bar.update(self._n_begun - self.bar.n)

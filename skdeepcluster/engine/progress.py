"""Progress of a fit: a bar over all training steps, or lines where there is no terminal."""

import sys
from functools import partial
from time import monotonic
from types import TracebackType

from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from tqdm.auto import tqdm

#: Minimum number of seconds between two lines about the epochs of a phase.
INTERVAL = 5.0


def epoch_table() -> PrintLog:
    """Return a callback that prints a table with a line per epoch."""
    return PrintLog(sink=partial(print))  # with print itself, only a verbose net would print


class Progress(Callback):
    """Shows the phases of a fit, which runs within this context, and counts training steps.

    The fit calls :meth:`plan` when the number of steps is known and :meth:`begin` at each phase;
    its trainings have this object among their callbacks.
    """

    def __init__(self, title: str = "", is_shown: bool = False) -> None:
        self.title = title
        has_bar = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.shows_lines = is_shown and not has_bar
        self.bar = tqdm(desc=title, unit="step", disable=not (is_shown and has_bar))
        self._phase, self._loss = "", ""
        self._n_done = self._n_begun = self._n_planned = 0
        self._written = monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._advance(self._n_planned)
        self.bar.close()

    def plan(self, n_steps: int) -> None:
        """Set the number of training steps of the fit."""
        self._n_planned = self.bar.total = n_steps

    def begin(self, phase: str, n_steps: int = 0) -> None:
        """Begin a phase with this many training steps; the steps of earlier phases are over."""
        self._advance(self._n_begun)
        self._n_begun += n_steps
        self._phase, self._loss = phase, ""
        self._show()

    def on_batch_end(self, net: NeuralNet, **_: object) -> None:
        """Count a step."""
        self._advance(self._n_done + 1)

    def on_epoch_end(self, net: NeuralNet, **_: object) -> None:
        """Show the loss."""
        self._loss = f", loss={net.history[-1, 'train_loss']:.4g}"
        if self.bar.disable and monotonic() - self._written < INTERVAL:
            return
        self._show()

    def _advance(self, n_done: int) -> None:
        self.bar.update(n_done - self._n_done)
        self._n_done = n_done

    def _show(self) -> None:
        """Show the phase, its loss and the number of steps."""
        self.bar.set_postfix_str(f"{self._phase}{self._loss}")
        if self.shows_lines:
            steps = f", step {self._n_done} of {self._n_planned}" if self._n_planned else ""
            print(f"{self.title}: {self._phase}{steps}{self._loss}", file=sys.stderr, flush=True)
        self._written = monotonic()

"""Progress of a fit: a bar over the training steps of all phases, or a table of epochs."""

import sys
from functools import partial

from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from tqdm.auto import tqdm

#: Minimum number of seconds between two lines if there is no terminal.
INTERVAL = 5.0


def epoch_table() -> PrintLog:
    """Return a callback that prints a table with a line per epoch."""
    return PrintLog(sink=partial(print))  # with print itself, only a verbose net would print


class _Lines:
    """Standard error, on which tqdm writes lines instead of redrawing one."""

    def write(self, text: str) -> None:
        if text := text.strip():
            sys.stderr.write(f"{text}\n")

    def flush(self) -> None:
        sys.stderr.flush()


class Progress(Callback):
    """A bar that shows the phases of a fit and counts training steps.

    The fit runs within this context. It calls :meth:`plan` when the number of steps is known and
    :meth:`begin` at each phase; its trainings have this object among their callbacks.
    """

    def __init__(self, title: str = "", is_shown: bool = False) -> None:
        options = {} if sys.stderr.isatty() else {"file": _Lines(), "mininterval": INTERVAL}
        self.bar = tqdm(desc=title, unit="step", disable=not is_shown, **options)
        self._phase, self._n_begun = "", 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._end_phase()
        self.bar.close()

    def plan(self, n_steps: int) -> None:
        """Set the number of training steps of the fit."""
        self.bar.total = n_steps

    def begin(self, phase: str, n_steps: int = 0) -> None:
        """Begin a phase with this many training steps; the steps of earlier phases are over."""
        self._end_phase()
        self._phase, self._n_begun = phase, self._n_begun + n_steps
        self.bar.set_postfix_str(phase)

    def on_batch_end(self, net: NeuralNet, **_: object) -> None:
        """Count a step."""
        self.bar.update()

    def on_epoch_end(self, net: NeuralNet, **_: object) -> None:
        """Show the loss."""
        loss = net.history[-1, "train_loss"]
        self.bar.set_postfix_str(f"{self._phase}, loss={loss:.4g}", refresh=False)

    def _end_phase(self) -> None:
        """Count the steps that the phase has left out."""
        self.bar.update(self._n_begun - self.bar.n)

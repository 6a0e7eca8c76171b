"""Progress of a fit over its phases, with the time left of all of them."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm

#: Seconds between two drawings of the bar.
REFRESH = 0.2
#: Steps of training after which the log is told an estimate.
FIRST_STEPS = 20
#: Seconds of training after which the log is told an estimate, if its steps are slow.
FIRST_SECONDS = 2.0
#: Seconds of a fit from which on the log tells its estimate.
LONG = 60.0
#: What the bar shows; {postfix} begins with a comma.
FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"

logger = logging.getLogger("skdeepcluster")
logger.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Phase:
    """A part of a fit."""

    name: str
    #: What its speed depends on: phases of one kind are assumed to miss their guesses alike.
    kind: str
    #: Seconds, a rough guess.
    guess: float
    #: Steps of training; 0 where there are none to count.
    n_steps: int = 0
    #: What is shown after the name.
    note: str = ""


class Progress(Callback):
    """Follows a fit, which runs within this context, and estimates the time left.

    The fit calls :meth:`begin` at each of ``phases``; a training has this object among its
    callbacks. With ``verbose=1`` a bar shows the phase, the share of the whole fit's time that has
    passed, and the time left. With ``verbose=0`` the logger "skdeepcluster" is told the estimate
    once, soon after the first training has begun, if the fit is long. Without phases nothing is
    shown or told.

    The time of a phase to come is its guess times the ratio of measured to guessed seconds, of the
    last phase of the same name, or else of the same kind.
    """

    def __init__(self, title: str = "", phases: Sequence[Phase] = (), verbose: int = 0) -> None:
        self.title, self.phases, self.verbose = title, phases, verbose
        self._current = -1
        self._ratios: dict[str, float] = {}
        self._start = self._phase_start = self._first_step = self._last_step = perf_counter()
        self._n_done = self._n_before = 0
        self._loss = ""
        self._is_told = verbose > 0 or not phases
        self._bar: Any = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()

    # ---- the fit

    def __enter__(self) -> "Progress":
        self._start = self._phase_start = perf_counter()
        if self.verbose == 1 and self.phases:
            self._bar = tqdm(total=100, desc=self.title, bar_format=FORMAT)
            # A phase without steps may last for minutes: its bar has to move, too.
            self._thread = threading.Thread(target=self._redraw, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is None:
            return
        self._is_over.set()
        self._thread.join()
        if kind is None:
            self._bar.n = self._bar.total
            self._bar.set_postfix_str("", refresh=False)
        self._bar.close()

    def begin(self, name: str) -> None:
        """End the current phase; begin the next one of this name, if any is to come."""
        coming = range(self._current + 1, len(self.phases))
        number = next((i for i in coming if self.phases[i].name == name), None)
        if number is None:
            return
        with self._lock:
            self._measure(perf_counter(), has_ended=True)
            self._current, self._loss = number, ""
            self._n_done = self._n_before = 0
            self._phase_start = perf_counter()
        self._draw()

    # ---- a training

    def on_epoch_begin(self, net: NeuralNet, **_: Any) -> None:
        """Note the steps that were made before this process began."""
        self._n_before = net._n_steps - self._n_done

    def on_batch_end(self, net: NeuralNet, **_: Any) -> None:
        """Count a step."""
        self._last_step = perf_counter()
        self._n_done += 1
        if self._n_done == 1:
            self._first_step = self._last_step
        elif not self._is_told and (
            self._n_done >= FIRST_STEPS or self._last_step - self._phase_start >= FIRST_SECONDS
        ):
            self._tell()

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """Note the loss."""
        self._loss = f"loss={net.history[-1, 'train_loss']:.4g}"

    # ---- the time left

    def _measure(self, now: float, has_ended: bool = False) -> None:
        """Compare the seconds of the current phase with their guess."""
        if self._current < 0:
            return
        phase = self.phases[self._current]
        if self._n_done > 1:  # the first step also allocates memory and compiles
            pace = (self._last_step - self._first_step) / (self._n_done - 1)
            seconds = pace * phase.n_steps
        elif has_ended and not phase.n_steps:
            seconds = now - self._phase_start
        else:
            return
        self._ratios[phase.name] = self._ratios[phase.kind] = seconds / phase.guess

    def _expect(self, phase: Phase) -> float:
        """Return the estimated seconds of a phase."""
        return phase.guess * self._ratios.get(phase.name, self._ratios.get(phase.kind, 1.0))

    def _estimate_left(self, now: float) -> float:
        """Return the estimated seconds that are left of the fit."""
        self._measure(now)
        left = sum(self._expect(phase) for phase in self.phases[self._current + 1 :])
        if self._current < 0:
            return left
        phase = self.phases[self._current]
        if self._n_done > 1:
            share = (self._n_before + self._n_done) / phase.n_steps
            return left + self._expect(phase) * max(0.0, 1 - share)
        return left + max(0.0, self._expect(phase) - (now - self._phase_start))

    def _tell(self) -> None:
        """Tell the log how long the fit takes, if it is long."""
        self._is_told = True
        now = perf_counter()
        seconds = now - self._start + self._estimate_left(now)
        if seconds > LONG:
            text = "%s: fit takes about %.0f s, by its first steps; verbose=1 shows the progress."
            logger.info(text, self.title, seconds)

    # ---- the bar

    def _redraw(self) -> None:
        while not self._is_over.wait(REFRESH):
            self._draw()

    def _draw(self) -> None:
        """Draw the bar, if there is one; it never goes back, and is full only in the end."""
        if self._bar is None:
            return
        with self._lock:
            now = perf_counter()
            left = self._estimate_left(now)
            share = (now - self._start) / (now - self._start + left) if left else 1.0
            self._bar.n = max(self._bar.n, min(99.0, self._bar.total * share))
            told = [f"{tqdm.format_interval(left)} left", self._loss]
            if self._current >= 0:
                phase = self.phases[self._current]
                text = f"{self.title}, {phase.name}{phase.note}"
                self._bar.set_description_str(text, refresh=False)
            self._bar.set_postfix_str(", ".join(filter(None, told)), refresh=False)
            self._bar.refresh()

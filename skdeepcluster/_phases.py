"""Phases of a fit, and rough guesses of their time on one processor core.

The guesses only have to be in proportion: measured times correct them while a fit runs.
"""

from itertools import pairwise

from ._initialization import is_partition
from .engine.batches import count_batches
from .engine.progress import Phase, Progress
from .engine.runtime import is_main_process

#: Seconds for each row of what is not training.
SECONDS_PER_ROW = {"number": 3e-4, "neighbours": 2e-4, "mixture": 5e-5}
#: Seconds of a step of pretraining, whatever the size of the networks.
SECONDS_PER_STEP = 1e-3
#: Further seconds of a step for each product of a row and a weight.
SECONDS_PER_PRODUCT = 7e-11


def plan_progress(estimator, fit):
    """Return the Progress of a fit; of several processes only the main one shows it."""
    phases = _list_phases(estimator, fit) if is_main_process() else []
    return Progress(type(estimator).__name__, phases, int(estimator.verbose))


def _list_phases(estimator, fit):
    """Return the phases of a fit: the search for the number of clusters, then those of each run.

    "answers" is what follows training: the trained network is applied to all rows a few times.
    """
    names = estimator._name_phases(fit)
    n_runs = 1 if estimator._continues() else estimator.n_init
    notes = [f" (run {i} of {n_runs})" if n_runs > 1 else "" for i in range(1, n_runs + 1)]
    phases = [_make_phase(name, note, estimator, fit) for note in notes for name in names]
    if estimator._seeks_number() and not is_partition(estimator.init):
        phases.insert(0, _make_phase("number", "", estimator, fit))
    return phases


def _make_phase(name, note, estimator, fit):
    """Return a phase with a guess of its seconds, and the number of its steps."""
    if name in SECONDS_PER_ROW:
        return Phase(name, "rows", SECONDS_PER_ROW[name] * fit.n_samples, note=note)
    widths = [fit.X.shape[1], *estimator._widths(), estimator.n_components]
    per_row = SECONDS_PER_PRODUCT * 2 * sum(a * b for a, b in pairwise(widths))
    if name == "answers":
        return Phase(name, "networks", per_row * fit.n_samples, note=note)
    batch_size = estimator._choose_batch_size(fit.X)
    step = SECONDS_PER_STEP + per_row * batch_size
    if name == "pretraining":
        n_epochs = estimator._choose_pretraining_epochs(fit)
    else:
        n_epochs = estimator._choose_max_epochs(fit.X)
        step *= estimator._budget.cost
    n_steps = n_epochs * count_batches(fit.n_samples, batch_size)
    return Phase(name, "networks", step * n_steps, n_steps, note)

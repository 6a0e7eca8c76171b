"""scikit-learn's callback protocol, where it is there (from 1.9 on): a task for each epoch."""

from contextlib import contextmanager

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9 there are skorch's callbacks only

    class CallbackSupportMixin:
        """Estimators without ``set_callbacks``."""

    def with_callbacks(method):
        """Return the method as it is."""
        return method


class FitTasks:
    """The tasks of one fit: trainings, and their epochs.

    Without scikit-learn's protocol nothing happens.
    """

    def __init__(self, estimator, X, y):
        self.given = {"estimator": estimator, "X": X, "y": y}
        self.root = None
        if hasattr(estimator, "set_callbacks"):
            self.root = estimator._init_callback_context(max_subtasks=None)
            self.root.call_on_fit_task_begin(**self.given)

    def training(self, name, max_epochs, snapshot):
        """Tasks of a training's epochs, for the training loop to begin and end; or None.

        ``snapshot(records)`` gives the fitted attributes as if the fit ended here; or is None.
        """
        if self.root is None:
            return None
        context = self.root.subcontext(task_name=name, max_subtasks=max_epochs)
        return Epochs(context, self.given, snapshot)

    def end(self):
        """End the fit: all has been learnt."""
        if self.root is not None:
            fitted = self.given["estimator"]
            attributes = {n: v for n, v in vars(fitted).items() if n.endswith("_")}
            self.root.call_on_fit_task_end(**self.given, reconstruction_attributes=attributes)


class Epochs:
    """The tasks of one training's epochs, one after the other."""

    def __init__(self, context, given, snapshot):
        self.context = context.call_on_fit_task_begin(**given)
        self.given, self.snapshot = given, snapshot
        self.records = []

    def begin(self):
        """Begin an epoch."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.given)

    def end(self, record):
        """End an epoch; return whether to stop training."""
        self.records.append(record)
        return self.epoch.call_on_fit_task_end(
            **self.given, reconstruction_attributes=self._attributes()
        )

    def close(self):
        """End the training."""
        self.context.call_on_fit_task_end(
            **self.given, reconstruction_attributes=self._attributes()
        )

    def _attributes(self):
        return self.snapshot and (lambda: self.snapshot(self.records))


class MemberTasks:
    """The tasks of an ensemble's fit: one for each member, in any order."""

    def __init__(self, estimator, X, n_members):
        self.given = {"estimator": estimator, "X": X}
        self.root = None
        if hasattr(estimator, "set_callbacks"):
            self.root = estimator._init_callback_context(
                max_subtasks=n_members, sequential_subtasks=False
            ).call_on_fit_task_begin(**self.given)

    def member(self, number):
        """Return the context of a member, or None."""
        if self.root is None:
            return None
        return self.root.subcontext(task_name="member", task_id=number)

    def end(self):
        """End the fit."""
        if self.root is not None:
            self.root.call_on_fit_task_end(**self.given)


@contextmanager
def member_task(context, caller, member, X):
    """Within the block a member is fitted; it takes over the callbacks that travel downwards."""
    if context is None:
        yield
        return
    with context.propagate_callback_context(member):
        context.call_on_fit_task_begin(estimator=caller, X=X)
        yield
        context.call_on_fit_task_end(estimator=caller, X=X)

"""The tasks of an ensemble's fit, which scikit-learn's callbacks are told of."""

from contextlib import contextmanager


class MemberTasks:
    """The tasks of an ensemble's fit: one for each member, in any order."""

    def __init__(self, estimator, X, n_members):
        self.given = {"estimator": estimator, "X": X}
        #: The estimator itself, whose callbacks follow its members: None without such tasks.
        self.root = self.caller = None
        if hasattr(estimator, "set_callbacks"):
            self.root = estimator._init_callback_context(
                max_subtasks=n_members, sequential_subtasks=False
            ).call_on_fit_task_begin(**self.given)
            self.caller = estimator

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
    """Within the block a member is fitted; it inherits the callbacks that propagate."""
    if context is None:
        yield
        return
    with context.propagate_callback_context(member):
        context.call_on_fit_task_begin(estimator=caller, X=X)
        yield
        context.call_on_fit_task_end(estimator=caller, X=X)

"""The training loop: skorch's, with a gradient step of every optimizer group in each batch.

Its progress is a bar over the steps of all phases of a fit, or a table of epochs.
"""

from functools import partial
from inspect import unwrap
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler, PrintLog
from skorch.utils import TeeGenerator
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset

from ..nn.augmentation import check_versions
from ..nn.model import Batch
from ..nn.runtime import threads_by_size, to_tensor

#: Share of the steps during which the learning rate grows to its peak.
WARM_UP = 0.1


# ---- the batches of an epoch


class Rows(Dataset[Any]):
    """X (N, D) as a torch data set that returns whole batches.

    ``columns`` are arrays of length N, or None: the "initial" of a
    :class:`~skdeepcluster.nn.model.Batch`, and its other columns.
    """

    #: Indices of samples with a class, ``targets`` (N,), that each batch gets besides, or None.
    labeled: np.ndarray | None = None

    def __init__(self, X, **columns):
        self.X = X
        self.columns = {
            name: column for name, column in columns.items() if column is not None
        }

    def add_labeled(self, targets, generator):
        """Add labeled samples to every batch, at most its size, that a generator draws.

        ``targets`` (N,) are their classes, -1 where unknown.
        """
        self.targets = targets
        self.labeled = np.flatnonzero(targets >= 0)
        self.generator = generator

    def __len__(self):
        return self.X.shape[0]

    def take(self, index):
        """Return the batch of the samples with these indices."""
        chosen = index.numpy()
        columns = {
            name: torch.from_numpy(column[chosen])
            for name, column in self.columns.items()
        }
        initial = columns.pop("initial", None)
        extra = self._take_labeled(len(chosen))
        return Batch(to_tensor(self.X[chosen]), initial, columns, extra)

    def _take_labeled(self, n_samples):
        """Return a random batch of labeled samples, or None."""
        if self.labeled is None:
            return None
        n_labeled = len(self.labeled)
        order = torch.randperm(n_labeled, generator=self.generator, device="cpu")
        chosen = np.sort(self.labeled[order[:n_samples].numpy()])
        target = torch.from_numpy(self.targets[chosen])
        return Batch(to_tensor(self.X[chosen]), columns={"target": target})


def count_batches(n_rows, batch_size):
    """Return the number of :class:`ShuffledBatches` of an epoch."""
    n_batches = -(-n_rows // batch_size)
    is_single = n_rows % batch_size == 1 and n_rows > 1
    return max(1, n_batches - is_single)


class ShuffledBatches:
    """Batches of :class:`Rows` in a new random order every epoch.

    A single last sample joins the batch before it, because batch normalization needs two.
    """

    def __init__(self, dataset, batch_size, generator):
        self.dataset = dataset
        self.batch_size = batch_size
        self.generator = generator

    def __len__(self):
        return count_batches(len(self.dataset), self.batch_size)

    def __iter__(self):
        n_samples = len(self.dataset)
        order = torch.randperm(n_samples, generator=self.generator, device="cpu")
        ends = [self.batch_size * k for k in range(1, len(self))]
        return map(self.dataset.take, order.tensor_split(ends))


# ---- the loop


class AdamW(torch.optim.AdamW):
    """AdamW that does not import torch's compiler, which takes seconds in the first fit."""

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Net(NeuralNet):
    """skorch's net that trains a :class:`TrainableModel` with one optimizer for all groups.

    The history has every loss term as ``<group>_<term>``, averaged over the samples of the epoch;
    ``train_loss`` is the sum of all terms.
    """

    def __init__(self, module, *, augment, **kwargs):
        self.augment = augment
        super().__init__(module, criterion=nn.Identity, **kwargs)

    # ---- events

    @property
    def interrupted(self):
        """Whether the user stopped within an epoch; callbacks stop at the end of one."""
        return bool(self.history) and "train_loss" not in self.history[-1]

    def on_train_begin(self, net, X=None, **kwargs):
        """Collect the optimizer groups and their parameters."""
        super().on_train_begin(net, X=X, **kwargs)

        self._n_batches = count_batches(len(X), self.batch_size)
        self._all_parameters = list(self.module_.parameters())
        groups = self.module_.optimizer_groups()
        self._groups = [(group, group.parameters()) for group in groups]

    def on_epoch_begin(self, net, **kwargs):
        """Reset the sums of the epoch; callbacks get the model as for predictions."""
        super().on_epoch_begin(net, **kwargs)
        self._sums = {}
        self.module_.eval()

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        """Record the means of the loss terms; stop a training that diverges."""
        super().on_epoch_end(net, **kwargs)
        for names, totals in self._sums.items():
            for name, total in zip(names, totals.tolist(), strict=True):
                self.history.record(name, total / len(dataset_train))

        terms = sum(self._sums, ())
        bad = [name for name in terms if not np.isfinite(self.history[-1, name])]
        if bad:
            raise FloatingPointError(
                f"Training diverged: {', '.join(bad)} is not finite in epoch "
                f"{len(self.history)}. Lower learning_rate, scale the features, or add "
                "skorch.callbacks.GradientNormClipping."
            )

    def fit_loop(self, X, y=None, epochs=None, **kwargs):
        """Train the epochs that are left if a callback has loaded a history."""
        epochs = self.max_epochs - len(self.history)
        return super().fit_loop(X, y, epochs=epochs, **kwargs)

    # ---- the step

    def train_step(self, batch, **_):
        """Make a step of every group by one optimizer, which skips gradients of None."""
        if not self.module_.training:
            self._set_training(True)
        batch = batch.to(self.device)
        if self.augment is not None:
            batch = self._augment(batch)
        n_steps = (len(self.history) - 1) * self._n_batches
        n_steps += len(self.history[-1]["batches"])
        n_all = self.max_epochs * self._n_batches
        self.module_.progress.fill_(n_steps / n_all)

        losses = []
        for group, parameters in self._groups:
            # Callbacks may freeze some parameters.
            learned = [p for p in parameters if p.requires_grad]
            if learned:
                names, values = self._update(group, learned, batch)
                losses.append(values)
                self._sums[names] = self._sums.get(names, 0) + len(batch.x) * values
        return {"loss": torch.cat(losses).sum(), "y_pred": None}

    def _update(self, group, parameters, batch):
        """Make a gradient step of a group; return names and values of its loss terms."""
        # The optimizer's zero_grad takes a quarter of a step of small networks.
        for parameter in self._all_parameters:
            parameter.grad = None
        terms = group.loss(batch)
        losses = torch.stack(list(terms.values()))
        losses.sum().backward(inputs=parameters)

        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(self.get_all_learnable_params()),
            batch=batch,
            training=True,
        )
        self.optimizer_.step()
        return tuple(f"{group.name}_{name}" for name in terms), losses.detach()

    def _augment(self, batch):
        """Add the other versions of the samples that the user's function returns."""
        extra = batch.extra and self._augment(batch.extra)
        changed = self.augment(batch.x)
        check_versions(batch.x, changed)
        augmented = changed.detach().to(batch.x.dtype)
        return batch._replace(augmented=augmented, extra=extra)


def epoch_table():
    """Return a callback that prints a table with a line per epoch."""
    # With print itself, only a verbose net would print.
    return PrintLog(sink=partial(print))


class StepProgress(Callback):
    """Counts the steps of trainings in the progress of a fit."""

    def __init__(self, progress):
        self.progress = progress

    def on_batch_end(self, net, **_):
        """Count a step."""
        self.progress.step()

    def on_epoch_end(self, net, **_):
        """Show the loss."""
        self.progress.show(f"loss={net.history[-1, 'train_loss']:.4g}")


def check_callbacks(callbacks):
    """Check that callbacks are skorch's."""
    for item in callbacks or ():
        if not issubclass(_find_kind(item), Callback):
            raise TypeError(
                f"callbacks must hold skorch callbacks, but got {item!r}. Define on_epoch_end "
                "in a subclass of skorch.callbacks.Callback."
            )


def _find_kind(item):
    """Return the class of a callback: an instance, a class, or a pair of a name and either."""
    callback = item[-1] if isinstance(item, tuple) else item
    return callback if isinstance(callback, type) else type(callback)


def train(
    model,
    rows,
    *,
    max_epochs,
    batch_size,
    learning_rate,
    generator,
    augment=None,
    rates=None,
    callbacks=(),
):
    """Train a model in place by AdamW; return the history, and whether Ctrl-C stopped it.

    The learning rate rises to its peak over the first tenth of the steps and falls to zero along a
    cosine, unless ``callbacks`` contain an ``LRScheduler``. ``rates`` scale it by patterns of
    parameter names; None: ``model.rates``. ``generator`` decides the order of the samples. The
    history has "epoch", "dur" (seconds), "train_loss" and every loss term of each finished epoch.
    """
    rates = model.rates if rates is None else rates
    groups = [
        (pattern, {"lr": learning_rate * factor}) for pattern, factor in rates.items()
    ]
    if not any(issubclass(_find_kind(item), LRScheduler) for item in callbacks):
        n_steps = max_epochs * count_batches(len(rows), batch_size)
        callbacks = [_make_schedule(n_steps), *callbacks]

    net = Net(
        model,
        augment=augment,
        optimizer=AdamW,
        optimizer__param_groups=groups,
        optimizer__weight_decay=model.weight_decay,
        optimizer__betas=model.betas,
        optimizer__fused=True,
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train=partial(ShuffledBatches, generator=generator),
        train_split=None,
        callbacks=callbacks,
        callbacks__print_log=None,
        verbose=0,
        device=next(model.parameters()).device,
    )
    with threads_by_size(model, batch_size):
        net.fit(rows, None)
    model.eval()
    model.progress.fill_(1.0)

    history = [_select_numbers(epoch) for epoch in net.history if "train_loss" in epoch]
    return history, net.interrupted


def _select_numbers(epoch):
    """Return the numbers of an epoch, without skorch's batches and bookkeeping."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in epoch.items()
        if isinstance(value, int | float)
        and not name.endswith(("_best", "_batch_count"))
    }


def _make_schedule(n_steps):
    """Return one cycle: a linear warm-up to the peak rate, then cosine annealing to zero."""

    def factor(step):
        share = (step + 1) / (n_steps + 1)
        if share < WARM_UP:
            return share / WARM_UP
        angle = np.pi * (share - WARM_UP) / (1 - WARM_UP)
        return 0.5 * (1 + float(np.cos(angle)))

    return LRScheduler(LambdaLR, lr_lambda=factor, step_every="batch", event_name=None)

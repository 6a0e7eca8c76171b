"""The only training loop: skorch's, with a step in which every player updates its parameters."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from inspect import unwrap
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientNormClipping,
    LRScheduler,
    ParamMapper,
)
from skorch.utils import TeeGenerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from ..functional.random import current_stream
from ..modules.game import Augmentation, Batch, Game, Loss, Player
from .batches import Rows, ShuffledBatches
from .runtime import threads_by_size

#: Share of the steps in which the learning rate grows to its peak.
WARM_UP = 0.1
#: Callbacks that change how a model is trained; others are taken to look on.
ACTIVE = EarlyStopping, GradientNormClipping, LRScheduler, ParamMapper


class AdamW(torch.optim.AdamW):
    """AdamW without what imports torch's compiler, which would take a second of the first fit."""

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


class Net(NeuralNet):
    """skorch's net that trains a :class:`Game`; made for one training.

    It has one module and one optimiser, so skorch's callbacks apply. Every term of every player's
    loss is in the history as ``<player>_<term>``, averaged over the rows of the epoch;
    ``train_loss`` is their sum.
    """

    interrupted = False
    _between_epochs = False

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Collect players, their parameters and losses, once."""
        super().on_train_begin(net, **kwargs)
        self._n_steps = 0
        self._all_parameters = list(self.module_.parameters())
        prepare = _compile if self.compile_losses else lambda loss: loss
        self._players = [
            (player, player.parameters(), prepare(player.loss))
            for player in self.module_.players()
        ]

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Reset the sums of the epoch."""
        super().on_epoch_begin(net, **kwargs)
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._n_rows = 0

    def train_step(self, batch: Batch, **_: Any) -> dict[str, Any]:
        """Let every player step; one optimiser suffices, because others' gradients are None."""
        self._set_training(True)
        batch = batch if self.processes is None else self.processes.take_part(batch)
        batch = self._augmented(batch.to(self.device))
        self._n_steps += 1
        self.module_.progress.fill_(min(1.0, self._n_steps / self.all_steps))
        found: dict[tuple[str, ...], Tensor] = {}
        for player, parameters, loss in self._learners():
            for _step in range(player.steps):
                # What the optimiser's zero_grad does, which records an event for the profiler: a
                # quarter of a step of small networks.
                for parameter in self._all_parameters:
                    parameter.grad = None
                with self._autocast(), self._split(batch):
                    terms = loss(batch)
                if self.bfloat16:
                    # Casts of the weights are kept until the outermost autocast block ends, which
                    # is not this one.
                    torch.clear_autocast_cache()
                losses = torch.stack(list(terms.values()))
                losses.sum().backward(inputs=parameters)
                losses = losses.detach()
                self._average(losses, parameters)
                self.notify(
                    "on_grad_computed",
                    named_parameters=TeeGenerator(self.get_all_learnable_params()),
                    batch=batch,
                    training=True,
                )
                self.optimizer_.step()
            found[tuple(f"{player.name}_{name}" for name in terms)] = losses.float()
        if not found:
            raise ValueError(
                "All parameters are frozen (requires_grad=False): nothing is left to train. Have "
                "the callbacks freeze fewer of them."
            )
        self._n_rows += len(batch.x)
        for names, losses in found.items():
            total = len(batch.x) * losses
            self._sums[names] = self._sums[names] + total if names in self._sums else total
        return {"loss": torch.cat(list(found.values())).sum(), "y_pred": None}

    def _learners(self) -> Iterator[tuple[Player, list[nn.Parameter], Loss]]:
        """Yield players, their parameters that no callback has frozen, if any, and losses."""
        for player, parameters, loss in self._players:
            if learnt := [parameter for parameter in parameters if parameter.requires_grad]:
                yield player, learnt, loss

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Record the means of the terms; stop training that has diverged."""
        super().on_epoch_end(net, **kwargs)
        means = {
            name: total / self._n_rows
            for names, totals in self._sums.items()
            for name, total in zip(names, totals.tolist(), strict=True)
        }
        for name, mean in means.items():
            self.history.record(name, mean)
        bad = [name for name, mean in means.items() if not np.isfinite(mean)]
        if bad:
            raise FloatingPointError(
                f"Training diverged: {', '.join(bad)} is not finite in epoch {len(self.history)}. "
                "Lower learning_rate (pretraining_learning_rate for an auto-encoder), scale the "
                "features to a common range, or clip gradients "
                "with callbacks=[skorch.callbacks.GradientNormClipping(1.0)]."
            )

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; at the end of an epoch a KeyboardInterrupt is one of theirs."""
        self._between_epochs = method_name == "on_epoch_end"
        try:
            super().notify(method_name, **kwargs)
        except KeyError as error:  # of skorch's callbacks, such as EarlyStopping
            if "was not found in history" not in str(error):
                raise
            raise ValueError(
                f"A callback reads what there is not: {error.args[0]} All rows are trained on, so "
                "that there is no loss of validation. Let it monitor one of "
                f"{', '.join(sorted(_extract(self.history[-1])))}."
            ) from error
        if self._between_epochs and self.checkpoint is not None and self.checkpoint.is_due():
            self.checkpoint.keep_training(self.get_state())
        self._between_epochs = False

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> "Net":
        """Train the epochs that are left; remember whether the user, not a callback, stopped."""
        epochs = self.max_epochs
        if self.saved is not None:
            self._restore(self.saved)
            epochs = 0 if self.saved["is_over"] else epochs - len(self.history)
        try:
            return super().fit_loop(X, y, epochs=epochs, **kwargs)
        except KeyboardInterrupt:
            self.interrupted = not self._between_epochs
            raise  # skorch then ends the training and keeps the weights

    def keep_end(self) -> None:
        """Keep the state at the end of a training that the user has not interrupted."""
        was_over = self.saved is not None and self.saved["is_over"]
        if self.checkpoint is not None and not self.interrupted and not was_over:
            self.checkpoint.keep_training(self.get_state(is_over=True))

    def get_state(self, is_over: bool = False) -> dict[str, Any]:
        """Return all that the rest of the training depends on, as tensors and plain data."""
        return {
            "is_over": is_over,
            "weights": self.module_.state_dict(),
            "n_steps": self._n_steps,
            "history": [
                {name: value for name, value in epoch.items() if name != "batches"}
                for epoch in self.history
            ],
            "moments": self.optimizer_.state_dict()["state"],
            "rates": [group["lr"] for group in self.optimizer_.param_groups],
            "schedules": [
                (schedule.lr_scheduler_.state_dict(), schedule.batch_idx_)
                for schedule in self._schedules()
            ],
            "streams": [generator.get_state() for generator in self.generators],
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Restore a state, once the callbacks have begun."""
        self._n_steps = state["n_steps"]
        for epoch in state["history"]:
            self.history.new_epoch()
            for name, value in epoch.items():
                self.history.record(name, value)
        self.module_.load_state_dict(state["weights"])
        for generator, found in zip(self.generators, state["streams"], strict=True):
            generator.set_state(found)
        optimizer = self.optimizer_.state_dict() | {"state": state["moments"]}
        for group, rate in zip(optimizer["param_groups"], state["rates"], strict=True):
            group["lr"] = rate
        self.optimizer_.load_state_dict(optimizer)
        for schedule, (found, n_batches) in zip(
            self._schedules(), state["schedules"], strict=True
        ):
            schedule.lr_scheduler_.load_state_dict(found)
            schedule.batch_idx_ = n_batches

    def _schedules(self) -> list[LRScheduler]:
        return [callback for _, callback in self.callbacks_ if isinstance(callback, LRScheduler)]

    def _augmented(self, batch: Batch) -> Batch:
        """Replace rows by other versions of them, if the user says how."""
        if self.augment is None:
            return batch
        with self._split(batch):
            labelled = None if batch.labelled is None else self._augment(batch.labelled)
            return batch._replace(x=self._augment(batch.x), labelled=labelled)

    def _augment(self, rows: Tensor) -> Tensor:
        """Return other versions of rows (N, D), checked."""
        found: Any = self.augment(rows)
        if not isinstance(found, Tensor) or found.shape != rows.shape:
            raise ValueError(
                f"augment must return a tensor of the shape {tuple(rows.shape)} of the rows it "
                f"gets, but returned {type(found).__name__} of shape {np.shape(found)}."
            )
        return found.detach().to(rows.dtype)

    def _split(self, batch: Batch) -> AbstractContextManager[None]:
        """Mark the batch as this process's part of a larger one, if several processes train."""
        return nullcontext() if self.processes is None else self.processes.step(len(batch.x))

    def _average(self, losses: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        """Average losses and gradients over the processes, so that all take the same step."""
        if self.processes is not None:
            gradients = [p.grad for p in parameters if p.grad is not None]
            self.processes.average([losses, *gradients])

    def _autocast(self) -> torch.autocast:
        device = torch.device(self.device).type
        return torch.autocast(device, torch.bfloat16, enabled=self.bfloat16)


def check_callbacks(callbacks: Any) -> None:
    """Check that callbacks are skorch's: instances, classes, or pairs of a name and one."""
    for item in callbacks or ():
        if not issubclass(_find_kind(item), Callback):
            raise TypeError(
                f"callbacks must hold skorch callbacks, objects of a subclass of "
                f"skorch.callbacks.Callback, but got {item!r}. Put a function into the method "
                "on_epoch_end of such a class."
            )


def _find_callback(item: Any) -> Any:
    """Return a callback, which skorch also takes as a pair of a name and it."""
    return item[1] if isinstance(item, tuple) and len(item) == 2 else item


def _find_kind(item: Any) -> type:
    """Return the class of a callback, which skorch also takes instead of an object."""
    callback = _find_callback(item)
    return callback if isinstance(callback, type) else type(callback)


def describe_callbacks(callbacks: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the class of each active callback, and what it was made of."""
    described = []
    for item in callbacks or ():
        callback, kind = _find_callback(item), _find_kind(item)
        if issubclass(kind, ACTIVE):
            own = {} if callback is kind else vars(callback)
            # What a callback has met has a name that ends in an underscore.
            given = {name: value for name, value in own.items() if not name.endswith("_")}
            described.append((kind.__qualname__, given))
    return described


def train(
    model: Game,
    rows: Rows,
    *,
    max_epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    augment: Augmentation | None = None,
    bfloat16: bool = False,
    compile: bool = False,
    callbacks: Sequence[Callback] | None = None,
    verbose: int = 0,
    resume: bool = False,
    processes: Any = None,
    progress: Callback | None = None,
    checkpoint: Any = None,
) -> tuple[list[dict[str, float]], bool]:
    """Train a game on rows, in place, with AdamW on ``device``; return (history, interrupted).

    ``learning_rate`` is the peak rate, which ``model.rates`` scales by parameter name: it rises
    over the first tenth of the steps and falls to zero along a cosine, unless ``callbacks``
    contains an ``LRScheduler``. ``generator`` decides the order of the rows. ``augment`` maps the
    rows of a step to those that are trained on. ``bfloat16`` computes the losses under autocast,
    ``compile`` compiles them. ``callbacks`` are skorch's, used as they are, after the package's
    own. ``verbose=2`` prints a table with a line per epoch. ``resume`` says that the model was
    trained before: its ``progress`` stays at 1. ``processes`` train together, each with a part of
    every batch. ``progress``, a :class:`~skdeepcluster.engine.progress.Progress`, counts
    the steps. ``checkpoint``, a :class:`~skdeepcluster._checkpoint.Checkpoint`, has the state
    that this training had reached before it was cut short, and keeps the states to come.

    The history has a record for each finished epoch: "epoch", "dur" (seconds), "train_loss", and
    every term. ``interrupted`` is whether the user stopped training with Ctrl-C.
    """
    n_steps = max_epochs * len(ShuffledBatches(rows, batch_size, generator))
    net = Net(
        model,
        criterion=nn.Identity,
        optimizer=AdamW,
        optimizer__param_groups=[
            (pattern, {"lr": learning_rate * factor}) for pattern, factor in model.rates.items()
        ],
        optimizer__weight_decay=weight_decay,
        optimizer__betas=model.betas,
        optimizer__fused=True,
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train=partial(ShuffledBatches, generator=generator),
        train_split=None,
        callbacks=_collect_callbacks(callbacks, n_steps, progress),
        verbose=verbose >= 2,
        device=str(device),
    )
    net.bfloat16, net.compile_losses, net.processes = bfloat16, compile, processes
    net.augment = augment
    net.checkpoint = checkpoint
    net.saved = None if checkpoint is None else checkpoint.begin_training()
    net.generators = [generator, *rows.generators, *_current_generators(device)]
    net.all_steps = 1 if resume else n_steps
    if verbose < 2:
        net.set_params(callbacks__print_log=None)
    with threads_by_size(model, batch_size):
        net.fit(rows, None)
    net.keep_end()
    model.eval()
    model.progress.fill_(1.0)
    return _records(net), net.interrupted


def _collect_callbacks(
    callbacks: Sequence[Callback] | None,
    n_steps: int,
    progress: Callback | None,
) -> list[Callback]:
    """Return the package's callbacks, before and after the user's."""
    given = list(callbacks or [])
    has_schedule = any(issubclass(_find_kind(item), LRScheduler) for item in given)
    own = [None if has_schedule else _make_schedule(n_steps), progress]
    return [callback for callback in [*own, *given] if callback is not None]


def _current_generators(device: torch.device | str) -> list[torch.Generator]:
    """Return the generators of the current stream that a training on a device may use."""
    stream = current_stream()
    names = sorted({"cpu", str(device)})
    return [] if stream is None else [stream.on(name) for name in names]


def _records(net: NeuralNet) -> list[dict[str, float]]:
    """Return the records of the finished epochs."""
    return [_extract(epoch) for epoch in net.history if "train_loss" in epoch]


def _extract(epoch: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of an epoch, without skorch's batches and bookkeeping."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in epoch.items()
        if isinstance(value, int | float) and not name.endswith(("_best", "_batch_count"))
    }


def _make_schedule(n_steps: int) -> LRScheduler:
    """Return one cycle: a linear warm-up to the peak rate, then cosine annealing to zero."""

    def factor(step: int) -> float:
        share = (step + 1) / (n_steps + 1)
        if share < WARM_UP:
            return share / WARM_UP
        return 0.5 * (1 + float(np.cos(np.pi * (share - WARM_UP) / (1 - WARM_UP))))

    return LRScheduler(LambdaLR, lr_lambda=factor, step_every="batch", event_name=None)


def _compile(loss: Loss) -> Loss:
    compiled = torch.compile(loss, dynamic=False)

    def call(batch: Batch) -> dict[str, Tensor]:
        try:
            return compiled(batch)
        except Exception as error:
            if "InvalidCxxCompiler" not in f"{type(error).__name__}: {error}":
                raise
            raise RuntimeError(
                "compile=True needs a C++ compiler, and torch found none that works. Install one "
                "(g++ or clang), name it in the environment variable CXX, or set compile=False."
            ) from error

    return call

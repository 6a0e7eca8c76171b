"""The training loop: one optimizer equals one per group, history, callbacks, and stopping."""

import numpy as np
import pytest
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    Freezer,
    GradientNormClipping,
    LRScheduler,
)
from torch import nn

from skdeepcluster.nn.model import Batch, OptimizerGroup, TrainableModel
from skdeepcluster.training.loop import Rows, ShuffledBatches, train


class Duel(TrainableModel):
    """Two networks with opposite losses that share no parameters."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(3, 2)
        self.right = nn.Linear(2, 1)

    def left_loss(self, batch):
        output = self.left(batch.x)
        return {"aim": self.right(output).mean(), "size": output.square().mean()}

    def right_loss(self, batch):
        output = self.right(self.left(batch.x))
        return {"aim": self.right.weight.square().sum() - output.mean()}

    def optimizer_groups(self):
        return (
            OptimizerGroup("left", [self.left], self.left_loss),
            OptimizerGroup("right", [self.right], self.right_loss),
        )


@pytest.fixture
def rows():
    return Rows(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))


def fit(model, rows, **changes):
    settings = {"max_epochs": 3, "batch_size": 16, "learning_rate": 1e-2}
    return train(
        model, rows, **(settings | {"generator": torch.Generator().manual_seed(0)} | changes)
    )


def test_one_optimizer_equals_one_per_group(rows):
    model = Duel()
    bare = Duel()
    bare.load_state_dict(model.state_dict())
    model.weight_decay = 0.1
    constant = LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    fit(model, rows, callbacks=[constant])

    options = {"lr": 1e-2, "weight_decay": 0.1}
    optimizers = [torch.optim.AdamW(m.parameters(), **options) for m in (bare.left, bare.right)]
    loader = ShuffledBatches(rows, 16, torch.Generator().manual_seed(0))
    for _ in range(3):
        for batch in loader:
            for group, optimizer in zip(bare.optimizer_groups(), optimizers, strict=True):
                bare.zero_grad()
                sum(group.loss(batch).values()).backward()
                optimizer.step()
    torch.testing.assert_close(model.state_dict(), bare.state_dict())


def test_history_holds_row_averages_of_every_term(rows):
    model = Duel()
    history, _ = fit(model, rows, learning_rate=1e-30)
    batch = Batch(torch.from_numpy(rows.X))
    terms = {}
    for group in model.optimizer_groups():
        for name, value in group.loss(batch).items():
            terms[f"{group.name}_{name}"] = pytest.approx(value.item(), rel=1e-5)
    total = sum(term.expected for term in terms.values())
    terms["train_loss"] = pytest.approx(total, rel=1e-5)
    assert [record["epoch"] for record in history] == [1, 2, 3]
    for record in history:
        assert {name: record[name] for name in terms} == terms
        assert all(isinstance(value, int | float) for value in record.values())


def test_rates_scale_the_learning_rate_by_name(rows):
    rates = {}

    class Watch(Callback):
        def on_train_end(self, net, **_):
            for group in net.optimizer_.param_groups:
                rates[len(group["params"])] = group["initial_lr"]

    model = Duel()
    model.left.extra = nn.Parameter(torch.zeros(1))
    model.rates = {"left.*": 10.0}
    fit(model, rows, callbacks=[Watch()])
    assert rates == {3: pytest.approx(0.1), 2: pytest.approx(0.01)}


def test_the_rate_rises_then_falls_to_zero(rows):
    rates = []

    class Watch(Callback):
        def on_batch_begin(self, net, **_):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    fit(Duel(), rows, max_epochs=25, callbacks=[Watch()])
    top = int(np.argmax(rates))
    assert len(rates) == 100
    assert max(rates) == pytest.approx(1e-2, rel=0.05)
    assert 5 <= top <= 15
    assert np.all(np.diff(rates[:top]) > 0)
    assert np.all(np.diff(rates[top:]) < 0)
    assert rates[-1] < 1e-5


def test_skorch_callbacks_apply(rows, tmp_path):
    norms = []

    class Norms(Callback):
        def on_grad_computed(self, net, named_parameters, **_):
            gradients = [p.grad for _, p in named_parameters if p.grad is not None]
            norms.append(float(nn.utils.get_total_norm(gradients)))

    history, interrupted = fit(
        Duel(),
        rows,
        max_epochs=30,
        callbacks=[
            ("clip", GradientNormClipping(1e-3)),
            ("norms", Norms()),
            EarlyStopping(monitor="left_size", patience=2, threshold=10.0),
            Checkpoint(monitor="train_loss_best", dirname=tmp_path),
        ],
    )
    assert len(history) == 3
    assert not interrupted
    assert max(norms) <= 1e-3 * (1 + 1e-4)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert saved.keys() == Duel().state_dict().keys()


def test_frozen_parameters_stay_and_others_learn(rows):
    duel = Duel()
    before = {name: p.detach().clone() for name, p in duel.named_parameters()}
    fit(duel, rows, callbacks=[Freezer(["left.weight", "right.*"])])
    after = dict(duel.named_parameters())
    assert [name for name in after if not torch.equal(after[name], before[name])] == ["left.bias"]


def test_divergence_names_term_epoch_and_remedies(rows):
    class Spoil(Callback):
        def on_epoch_end(self, net, **_):
            net.module_.left.weight.data.fill_(torch.nan)

    with pytest.raises(FloatingPointError, match=r"left_aim.*epoch 2.*learning_rate"):
        fit(Duel(), rows, callbacks=[Spoil()])

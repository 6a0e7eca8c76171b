"""The training loop: one optimizer equals one per player, history, callbacks, and stopping."""

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

from skdeepcluster.modules.model import Batch, Player, TrainableModel
from skdeepcluster.training.loop import train
from skdeepcluster.training.runtime import (
    Rows,
    ShuffledBatches,
    generator,
    resolve_precision,
)


class Duel(TrainableModel):
    """Two players with opposite aims, sharing nothing: the smallest game with two moves."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(2, 1)
        self.batches = []

    def left_loss(self, batch):
        x = batch.x
        self.batches.append(x)
        return {"aim": self.right(self.left(x)).mean(), "size": self.left(x).square().mean()}

    def right_loss(self, batch):
        x = batch.x
        return {"aim": -self.right(self.left(x)).mean() + self.right.weight.square().sum()}

    def players(self):
        return (
            Player("left", [self.left], self.left_loss),
            Player("right", [self.right], self.right_loss),
        )


@pytest.fixture
def rows():
    return Rows(np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32))


def fit(model, rows, **changes):
    settings = {"max_epochs": 3, "batch_size": 16, "learning_rate": 1e-2}
    return train(model, rows, **(settings | {"generator": generator(0)} | changes))


def test_one_optimizer_equals_one_per_player(rows):
    torch.manual_seed(0)
    model, bare = Duel(), Duel()
    bare.load_state_dict(model.state_dict())
    model.weight_decay = 0.1
    constant = LRScheduler(torch.optim.lr_scheduler.ConstantLR, factor=1.0)
    fit(model, rows, callbacks=[constant])

    options = {"lr": 1e-2, "weight_decay": 0.1}
    optimizers = [torch.optim.AdamW(m.parameters(), **options) for m in (bare.left, bare.right)]
    loader = ShuffledBatches(rows, 16, generator(0))
    for _ in range(3):
        for batch in loader:
            for player, optimizer in zip(bare.players(), optimizers, strict=True):
                bare.zero_grad()
                sum(player.loss(batch).values()).backward()
                optimizer.step()
    for ours, theirs in zip(model.parameters(), bare.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_history_holds_row_averages_of_every_term(rows):
    model = Duel()
    frozen = fit(model, rows, learning_rate=1e-30)[0]
    x = Batch(torch.from_numpy(rows.X))
    terms = {f"left_{name}": v for name, v in model.left_loss(x).items()}
    terms |= {f"right_{name}": v for name, v in model.right_loss(x).items()}
    assert [record["epoch"] for record in frozen] == [1, 2, 3]
    for record in frozen:
        for name, value in terms.items():
            assert record[name] == pytest.approx(value.item(), rel=1e-5)
        total = sum(value.item() for value in terms.values())
        assert record["train_loss"] == pytest.approx(total, rel=1e-5)
        assert all(isinstance(value, int | float) for value in record.values())


def test_rates_scale_the_learning_rate_by_name(rows):
    seen = {}

    class Watch(Callback):
        def on_train_end(self, net, **_):
            seen.update({len(g["params"]): g["initial_lr"] for g in net.optimizer_.param_groups})

    model = Duel()
    model.left.extra = nn.Parameter(torch.zeros(1))
    model.rates = {"left.*": 10.0}
    fit(model, rows, callbacks=[Watch()])
    assert seen == {3: pytest.approx(0.1), 2: pytest.approx(0.01)}


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
            grads = [p.grad for _, p in named_parameters if p.grad is not None]
            norms.append(torch.stack([g.norm() for g in grads]).norm().item())

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
    duel, patterns = Duel(), ["left.weight", "right.*"]
    before = {name: p.detach().clone() for name, p in duel.named_parameters()}
    fit(duel, rows, callbacks=[Freezer(patterns)])
    changed = {name for name, p in duel.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"left.bias"}
    with pytest.raises(ValueError, match="All parameters are frozen"):
        fit(duel, rows, callbacks=[Freezer("*")])


def test_divergence_names_term_epoch_and_remedies(rows):
    class Spoil(Callback):
        def on_epoch_end(self, net, **_):
            net.module_.left.weight.data.fill_(torch.nan)

    with pytest.raises(FloatingPointError, match=r"left_aim.*epoch 2.*learning_rate"):
        fit(Duel(), rows, callbacks=[Spoil()])


def test_bfloat16_computes_losses_under_autocast(rows):
    kinds = set()

    class Probe(Duel):
        def left_loss(self, batch):
            kinds.add(self.left(batch.x).dtype)
            return super().left_loss(batch)

    model = Probe()
    fit(model, rows, bfloat16=True)
    assert kinds == {torch.bfloat16}
    assert model.left.weight.dtype == torch.float32


@pytest.mark.parametrize("tiles", [False, True])
def test_auto_is_bfloat16_on_a_cpu_with_tiles(monkeypatch, tiles):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    cpu = torch.device("cpu")
    assert (resolve_precision("auto", cpu) == "bfloat16") is tiles
    assert resolve_precision("bfloat16", cpu) == "bfloat16"
    assert resolve_precision("float32", cpu) == "float32"

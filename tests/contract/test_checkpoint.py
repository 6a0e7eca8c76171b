"""A fit that is cut short goes on from its checkpoint and ends as if it never had been."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import skorch
import torch
from estimators import in_full
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import skdeepcluster as sk
from skdeepcluster import _checkpoint
from skdeepcluster._files import read_arrays, write_arrays
from skdeepcluster.modules.augmentation import RandomAffine

TINY = {"hidden_layer_sizes": (8, 6), "max_epochs": 4, "batch_size": 20}
START = TINY | {"pretraining_epochs": 3}
METHODS = {
    "vae": sk.VAEEmbedding(3, **TINY),
    "vade": sk.VaDEClustering(3, n_init=2, **START),
    "dac": sk.DACClustering(3, **START),
    "infogan": sk.InfoGANClustering("auto", max_clusters=5, **TINY),
    "catgan": sk.CatGANClustering(3, layer_noise=0.1, **START),
    "classifier": sk.CatGANClassifier(**TINY),
}


class Crash(Exception):
    """What ends a fit."""


class CrashAfter(skorch.callbacks.Callback):
    """Raises in the middle of an epoch, after so many epochs of all trainings with callbacks."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def on_epoch_begin(self, net, **_):
        self.n_left -= 1

    def on_batch_end(self, net, **_):
        if self.n_left < 0:
            raise Crash


@pytest.fixture(autouse=True)
def keep_every_epoch(monkeypatch):
    monkeypatch.setattr(_checkpoint, "INTERVAL", 0.0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return rng.normal(size=(60, 5)) + 4 * np.eye(5)[y], y


def state(fitted, X):
    """All that a fit has learnt, but the seconds it took."""
    history = [{k: v for k, v in record.items() if k != "dur"} for record in fitted.history_]
    return fitted.predict_proba(X), fitted.model_.state_dict(), history


def assert_same(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    for name, tensor in expected[1].items():
        np.testing.assert_array_equal(found[1][name], tensor, err_msg=name)
    assert found[2] == expected[2]


@pytest.mark.filterwarnings("ignore:.* rows left the clusters of their start")
@pytest.mark.parametrize(
    "name", ["vade", *in_full("vae", "dac", "infogan", "catgan", "classifier")]
)
def test_a_fit_that_crashed_goes_on_to_the_same_bits(name, data, tmp_path):
    X, y = data
    method = clone(METHODS[name]).set_params(random_state=0)
    expected = state(clone(method).fit(X, y), X)
    path = tmp_path / "fit.safetensors"
    method.set_params(checkpoint=path)
    for n_epochs in (0, 1, 2):
        crashing = clone(method).set_params(callbacks=[CrashAfter(n_epochs)])
        with pytest.raises(Crash):
            crashing.fit(X, y)
        assert not hasattr(crashing, "model_")
    assert_same(state(clone(method).fit(X, y), X), expected)
    assert not path.exists()


def test_searches_and_pretraining_are_not_repeated(data, tmp_path, monkeypatch):
    X, _ = data
    vade = sk.VaDEClustering("auto", max_clusters=4, random_state=0, **START)
    expected = state(clone(vade).fit(X), X)
    vade.set_params(checkpoint=str(tmp_path / "fit"))
    with pytest.raises(Crash):
        clone(vade).set_params(callbacks=[CrashAfter(0)]).fit(X)

    def forbidden(*_, **__):
        raise AssertionError("computed again")

    for name in ("find_number", "find_partition"):
        for module in (sk._base, sk._initialization):
            monkeypatch.setattr(module, name, forbidden, raising=False)
    fitted = clone(vade).fit(X)
    assert_same(state(fitted, X), expected)
    assert set(fitted.n_clusters_curve_) > {"n_clusters"}


@pytest.mark.filterwarnings("ignore:.* rows left the clusters of their start")
def test_a_fit_without_seed_goes_on_with_the_stream_it_began_with(data, tmp_path):
    X, _ = data
    dac = sk.DACClustering(3, checkpoint=tmp_path / "fit", **START)
    seen = []

    class Look(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **_):
            seen.append(net.history[-1, "train_loss"])

    with pytest.raises(Crash):
        clone(dac).set_params(callbacks=[Look(), CrashAfter(2)]).fit(X)
    fitted = clone(dac).fit(X)
    assert [record["train_loss"] for record in fitted.history_][:2] == seen


def test_a_checkpoint_of_another_fit_is_refused(data, tmp_path):
    X, _ = data
    path = tmp_path / "fit"
    move = RandomAffine((1, 1, X.shape[1]))
    vae = sk.VAEEmbedding(3, random_state=0, checkpoint=path, augment=move, **TINY)
    with pytest.raises(Crash):
        clone(vae).set_params(callbacks=[CrashAfter(1)]).fit(X)
    for other in (
        {"max_epochs": 5},
        {"random_state": 1},
        {"n_components": 3},
        {"augment": replace(move, degrees=1.0)},
    ):
        with pytest.raises(ValueError, match="is of another fit"):
            clone(vae).set_params(**other).fit(X)
    with pytest.raises(ValueError, match="is of another fit"):
        clone(vae).fit(X + 1e-6)
    clone(vae).set_params(verbose=0).fit(X)
    assert not path.exists()


def build(n_inputs, n_outputs, width=8):
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, width), torch.nn.Linear(width, n_outputs))


def make_metric(power):
    return lambda a, b: (np.abs(a - b) ** power).sum()


def test_callables_are_told_apart_by_what_they_do_and_what_they_bring_along():
    def describe(**settings):
        return _checkpoint.identify(sk.VaDEClustering(3, **settings), np.zeros((4, 2)))

    start = sk.NeighborClustering(metric=make_metric(2))
    different = [
        describe(),
        describe(encoder=build),
        describe(encoder=partial(build, width=8)),
        describe(encoder=partial(build, width=9)),
        describe(metric=make_metric(1)),
        describe(metric=make_metric(2)),
        describe(metric=lambda a, b: np.abs(a - b).max()),
        describe(metric=lambda a, b: np.abs(a - b).min()),
        describe(init=start),
        describe(init=clone(start).set_params(metric=make_metric(3))),
        describe(callbacks=[skorch.callbacks.GradientNormClipping(1.0)]),
        describe(callbacks=[("clip", skorch.callbacks.GradientNormClipping(2.0))]),
        describe(callbacks=[skorch.callbacks.EarlyStopping]),
        describe(callbacks=[skorch.callbacks.LRScheduler("StepLR", step_size=9)]),
        describe(callbacks=[skorch.callbacks.LRScheduler("StepLR", step_size=8)]),
        describe(callbacks=[skorch.callbacks.LRScheduler("CosineAnnealingLR", T_max=9)]),
        describe(callbacks=[skorch.callbacks.Freezer("encoder.*")]),
        describe(callbacks=[skorch.callbacks.Freezer("decoder.*")]),
    ]
    assert len(set(different)) == len(different)
    assert describe(encoder=partial(build, width=9)) == different[3]
    assert describe(callbacks=[skorch.callbacks.EpochTimer()]) == different[0]
    assert describe(init=sk.NeighborClustering(metric=make_metric(2))) == describe(init=start)


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "no checkpoint"])
def test_damaged_checkpoints_are_refused_by_name(damage, data, tmp_path):
    X, _ = data
    path = tmp_path / "fit"
    vae = sk.VAEEmbedding(3, random_state=0, checkpoint=path, **TINY)
    with pytest.raises(Crash):
        clone(vae).set_params(callbacks=[CrashAfter(1)]).fit(X)
    whole = path.read_bytes()
    if damage == "no checkpoint":
        write_arrays(path, *read_arrays(path)[:1], {"format": "other"})
    else:
        changed = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        path.write_bytes({"cut": whole[:200], "empty": b"", "changed": changed}[damage])
    with pytest.raises(ValueError, match=f"checkpoint={path} cannot be read"):
        clone(vae).fit(X)


def test_a_fit_that_was_interrupted_leaves_its_checkpoint(data, tmp_path):
    X, _ = data
    path = tmp_path / "fit"
    vae = sk.VAEEmbedding(3, random_state=0, **TINY)
    expected = state(clone(vae).fit(X), X)

    class Interrupt(skorch.callbacks.Callback):
        def on_batch_begin(self, net, **_):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    vae.set_params(checkpoint=path)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clone(vae).set_params(callbacks=[Interrupt()]).fit(X)
    assert path.exists()
    assert_same(state(clone(vae).fit(X), X), expected)


@pytest.mark.full
def test_members_of_an_ensemble_have_checkpoints_of_their_own(data, tmp_path):
    X, _ = data
    begun = []

    class CrashInTheSecond(skorch.callbacks.Callback):
        def on_train_begin(self, net, **_):
            begun.append(net)

        def on_epoch_end(self, net, **_):
            if len(begun) == 2 and len(net.history) == 2:
                raise Crash

    vae = sk.VAEEmbedding(3, **TINY)
    expected = sk.ClusterEnsemble(vae, 2, random_state=0).fit(X).predict_proba(X)
    crashing = clone(vae).set_params(checkpoint=tmp_path / "fit", callbacks=[CrashInTheSecond()])
    ensemble = sk.ClusterEnsemble(crashing, 2, random_state=0)
    with pytest.raises(Crash):
        ensemble.fit(X)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.1"]
    ensemble.set_params(estimator__callbacks=None).fit(X)
    np.testing.assert_array_equal(ensemble.predict_proba(X), expected)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_an_error_of_the_disk(data, tmp_path):
    vae = sk.VAEEmbedding(3, checkpoint=tmp_path / "nowhere" / "fit", **TINY)
    with pytest.raises(OSError, match="nowhere"):
        vae.fit(data[0])
    assert not hasattr(vae, "model_")


@pytest.mark.parametrize("path", ["", ".", "a\0b"])
def test_what_is_no_file_is_refused_by_name(path, data):
    with pytest.raises(ValueError, match="checkpoint=.* should be the name of a file"):
        sk.VAEEmbedding(3, checkpoint=path, **TINY).fit(data[0])

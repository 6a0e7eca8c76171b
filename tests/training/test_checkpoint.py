"""A fit that is interrupted resumes from its checkpoint and ends with the same bits."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import count
from zipfile import ZipFile

import numpy as np
import pytest
import skorch
import torch
from common import in_full
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdeepcluster as sk
from skdeepcluster.nn.augmentation import RandomAffine
from skdeepcluster.nn.networks import conv_classifier, normalized_mlp

TINY = {"hidden_layer_sizes": (8, 6), "max_epochs": 4, "batch_size": 20}
PRETRAINED = TINY | {"pretraining_epochs": 3}


def convolve(n_in, n_out):
    classifier = conv_classifier(16, n_out, (1, 4, 4), (4, 6))
    return torch.nn.Sequential(torch.nn.Linear(n_in, 16), classifier)


NOISY = partial(normalized_mlp, hidden_layer_sizes=(8, 6), noise=0.1)
METHODS = {
    "vae": sk.VAEEmbedding(3, **TINY),
    "vade": sk.VaDEClustering(3, n_init=2, **PRETRAINED),
    "dac": sk.DACClustering(3, **PRETRAINED),
    "infogan": sk.InfoGANClustering("auto", **TINY),
    "catgan": sk.CatGANClustering(3, discriminator=NOISY, **PRETRAINED),
    "classifier": sk.CatGANClassifier(**TINY),
    "convolutions": sk.CatGANClustering(3, discriminator=convolve, **TINY),
}
RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = RNG.normal(size=(60, 5)) + 4 * np.eye(5)[Y]

pytestmark = pytest.mark.filterwarnings("ignore:.* of the samples left")


class Crash(Exception):
    """Ends a fit."""


class CrashAfter(skorch.callbacks.Callback):
    """Raises within an epoch, after ``n_epochs`` epochs of all trainings with callbacks."""

    def __init__(self, n_epochs):
        self.n_left = n_epochs

    def on_epoch_begin(self, net, **_):
        self.n_left -= 1

    def on_batch_end(self, net, **_):
        if self.n_left < 0:
            raise Crash


@pytest.fixture(autouse=True)
def _keep_every_epoch(monkeypatch):
    clock = count(step=100)  # as if an epoch took minutes
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.pt"


def crash(estimator, n_epochs, *callbacks):
    crashing = clone(estimator).set_params(callbacks=[*callbacks, CrashAfter(n_epochs)])
    with pytest.raises(Crash):
        crashing.fit(X, Y)
    assert not hasattr(crashing, "model_")


def assert_same(one, two):
    np.testing.assert_array_equal(one.predict_proba(X), two.predict_proba(X))
    weights = two.model_.state_dict()
    for name, tensor in one.model_.state_dict().items():
        np.testing.assert_array_equal(tensor, weights[name], err_msg=name)
    for record, other in zip(one.history_, two.history_, strict=True):
        assert record | {"dur": 0} == other | {"dur": 0}


@pytest.mark.parametrize(
    "name",
    ["vade", "convolutions", *in_full("vae", "dac", "infogan", "catgan", "classifier")],
)
def test_a_crashed_fit_resumes_to_the_same_bits(name, path):
    method = clone(METHODS[name]).set_params(random_state=0)
    expected = clone(method).fit(X, Y)
    method.set_params(checkpoint=path)
    for n_epochs in (0, 1, 2):
        crash(method, n_epochs)
    assert_same(clone(method).fit(X, Y), expected)
    assert not path.exists()


def test_a_fit_without_a_seed_resumes_its_random_state(path):
    uniform = RNG.uniform(size=(60, 5))  # each seed has another partition
    weight = RNG.uniform(size=60)  # by which samples are drawn
    dac = sk.DACClustering(4, checkpoint=path, **PRETRAINED)
    losses = []

    class Look(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **_):
            losses.append(net.history[-1, "train_loss"])

    with pytest.raises(Crash):
        clone(dac).set_params(callbacks=[Look(), CrashAfter(2)]).fit(uniform, None, weight)
    fitted = clone(dac).fit(uniform, None, weight)
    assert [record["train_loss"] for record in fitted.history_][:2] == losses


def build(n_inputs, n_outputs, width=8):
    return torch.nn.Linear(n_inputs, n_outputs)


def test_what_is_no_regular_file_is_not_read():
    with pytest.raises(OSError, match="no regular file"):
        clone(METHODS["vae"]).set_params(checkpoint=os.devnull).fit(X)


def test_a_checkpoint_of_another_fit_is_refused(path):
    augment = RandomAffine((1, 1, 5))
    encoder = partial(build, width=8)
    vae = sk.VAEEmbedding(3, random_state=0, checkpoint=path, **TINY)
    vae.set_params(augment=augment, encoder=encoder)
    crash(vae, 1)
    for change in (
        {"max_epochs": 5},
        {"random_state": 1},
        {"augment": replace(augment, degrees=1.0)},
        {"encoder": build},
        {"encoder": partial(build, width=9)},
        {"init": sk.NeighborClustering()},
    ):
        with pytest.raises(ValueError, match="belongs to another fit"):
            clone(vae).set_params(**change).fit(X, Y)
    with pytest.raises(ValueError, match="belongs to another fit"):
        clone(vae).fit(X + 1e-6, Y)
    clone(vae).set_params(verbose=0, encoder=partial(build, width=8)).fit(X, Y)
    assert not path.exists()


def edit(change):
    """Return a function that changes the content of a checkpoint and writes it anew."""

    def write(path, content):
        stored = torch.load(path, weights_only=False)
        change(stored)
        torch.save(stored, path)
        path.write_bytes(path.read_bytes() + sha256(path.read_bytes()).digest())

    return write


def read_beyond(stored):
    stored["random_state"] = (*stored["random_state"][:2], 10**7, 0, 0.0)


def cut_keys(stored):
    name, keys, *rest = stored["random_state"]
    stored["random_state"] = (name, keys[:10], *rest)


def rename(stored):
    stored["random_state"] = ("PCG64", *stored["random_state"][1:])


def flip_weights(path, content):
    """Change one bit of the stored weights."""
    with ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda part: part.file_size)
        part = file.read(largest)
    place = content.index(part) + len(part) // 2
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def flip_directory(path, content):
    """Change one letter of a name in the directory of the archive."""
    place = content.rindex(b"/data/")
    path.write_bytes(content[:place] + b"_" + content[place + 1 :])


DAMAGE = {
    "bit": flip_weights,
    "directory": flip_directory,
    "cut": lambda path, content: path.write_bytes(content[:200]),
    "weights": lambda path, _: torch.save({"weight": torch.zeros(3)}, path),
    "code": lambda path, _: torch.save({"fit": print, "trainings": []}, path),
    "training": edit(lambda stored: stored["trainings"][0].pop("weights")),
    "random_state": edit(read_beyond),
    "keys": edit(cut_keys),
    "generator": edit(rename),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_checkpoints_are_refused_by_name(damage, path):
    vae = sk.VAEEmbedding(3, random_state=0, checkpoint=path, **TINY)
    crash(vae, 1)
    DAMAGE[damage](path, path.read_bytes())
    with pytest.raises(ValueError, match="checkpoint.*(\n.*)*Remove the file"):
        clone(vae).fit(X, Y)


def test_a_fit_that_the_user_interrupts_leaves_its_checkpoint(path):
    vae = sk.VAEEmbedding(3, random_state=0, **TINY)
    expected = clone(vae).fit(X)

    class Interrupt(skorch.callbacks.Callback):
        def on_batch_begin(self, net, **_):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    vae.set_params(checkpoint=path)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        clone(vae).set_params(callbacks=[Interrupt()]).fit(X)
    assert path.exists()
    assert_same(clone(vae).fit(X), expected)


def test_fits_at_the_same_time_may_share_a_checkpoint(path):
    vae = sk.VAEEmbedding(3, random_state=0, **TINY)
    expected = clone(vae).fit(X)
    vae.set_params(checkpoint=path)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: clone(vae).fit(X), range(8)):
            np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert not os.listdir(path.parent)


@pytest.mark.full
def test_members_of_an_ensemble_have_separate_checkpoints(path):
    begun = []

    class CrashInTheSecond(skorch.callbacks.Callback):
        def on_train_begin(self, net, **_):
            begun.append(net)

        def on_epoch_end(self, net, **_):
            if len(begun) == 2 and len(net.history) == 2:
                raise Crash

    vae = sk.VAEEmbedding(3, **TINY)
    expected = sk.ClusterEnsemble(vae, 2, random_state=0).fit(X).predict_proba(X)
    crashing = clone(vae).set_params(checkpoint=path, callbacks=[CrashInTheSecond()])
    ensemble = sk.ClusterEnsemble(crashing, 2, random_state=0)
    with pytest.raises(Crash):
        ensemble.fit(X)
    assert os.listdir(path.parent) == ["fit.pt.1"]
    ensemble.set_params(estimator__callbacks=None).fit(X)
    np.testing.assert_array_equal(ensemble.predict_proba(X), expected)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("name", ["none/fit.pt", "."])
def test_a_path_that_is_no_file_is_an_oserror(name, tmp_path):
    vae = sk.VAEEmbedding(3, checkpoint=tmp_path / name, **TINY)
    with pytest.raises(OSError, match=str(tmp_path)):
        vae.fit(X)
    assert not hasattr(vae, "model_")


def test_a_full_disk_is_named(path):
    resource = pytest.importorskip("resource")
    vae = sk.VAEEmbedding(3, checkpoint=path, **TINY)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=str(path)):
            vae.fit(X)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not hasattr(vae, "model_")
    assert not os.listdir(path.parent)


class InterruptTheSecond(skorch.callbacks.Callback):
    """Ctrl-C in the second of the trainings."""

    begun = []

    def on_train_begin(self, net, **_):
        self.begun.append(net)

    def on_batch_begin(self, net, **_):
        if len(self.begun) == 2:
            raise KeyboardInterrupt


def test_a_network_that_the_user_interrupts_stays_in_the_ensemble():
    InterruptTheSecond.begun.clear()
    vae = sk.VAEEmbedding(3, init=Y, callbacks=[InterruptTheSecond()], **TINY)
    with pytest.warns(ConvergenceWarning, match="interrupted after 0 epochs"):
        ensemble = sk.ClusterEnsemble(make_pipeline(StandardScaler(), vae), 3).fit(X)
    assert len(ensemble.estimators_) == 3

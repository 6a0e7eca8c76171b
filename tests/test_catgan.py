"""CatGAN: both losses, what predictions are normalized by, priors, a few labels."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from common import check_optimizer_groups, keep_some, make_model, seeded
from sklearn.datasets import make_blobs, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from torch import nn

from skdeepcluster import CatGANClassifier, CatGANClustering
from skdeepcluster.nn.model import Batch

SMALL = {"hidden_layer_sizes": (32,), "random_state": 0}


with seeded(1):
    SHARES = torch.rand(50, 6)


def model(**settings):
    plain = {
        "init_weight": 0.0,
        "smoothness_weight": 0.0,
        "init": "own",
        "pretraining_epochs": 0,
    }
    small = {"hidden_layer_sizes": (8,), "likelihood": "bernoulli", "class_prior": None}
    plain["fake_weight"] = 1.0
    return make_model(CatGANClustering(3, **plain | small | settings), SHARES.numpy())


@pytest.fixture
def x():
    return SHARES


def plain_entropy(p):
    return -(p * p.log()).sum(-1)


def own_streams(function, *arguments):
    with seeded(3):
        return function(*arguments)


# ---- the game


def test_losses_are_those_of_the_paper_written_out(x):
    catgan = model()
    p = torch.softmax(catgan.discriminator(x), 1)
    q = torch.softmax(catgan.discriminator(own_streams(catgan.generate, x)), 1)
    terms = own_streams(catgan.discriminator_loss, Batch(x))
    assert list(terms) == ["certainty", "balance", "fake"]
    torch.testing.assert_close(terms["certainty"], plain_entropy(p).mean())
    torch.testing.assert_close(terms["balance"], -plain_entropy(p.mean(0)))
    torch.testing.assert_close(terms["fake"], -plain_entropy(q).mean())
    terms = own_streams(catgan.generator_loss, Batch(x))
    torch.testing.assert_close(terms["certainty"], plain_entropy(q).mean())
    torch.testing.assert_close(terms["balance"], -plain_entropy(q.mean(0)))


def test_a_loss_reaches_its_own_modules(x):
    check_optimizer_groups(model(), Batch(x))


def test_predictions_are_normalized_by_real_samples_only(x):
    catgan = model(init_weight=1.0, smoothness_weight=1.0)
    alone = copy.deepcopy(catgan.discriminator)
    start = torch.full((50, 3), 1 / 3)
    alone(x)
    catgan.discriminator_loss(Batch(x, start))
    catgan.generator_loss(Batch(x, start))
    for name, buffer in alone.named_buffers():
        torch.testing.assert_close(dict(catgan.discriminator.named_buffers())[name], buffer)
    assert alone[1].running_mean.abs().sum() > 0


def test_the_initial_partition_fades_and_the_smoothness_stays(x):
    catgan = model(init_weight=2.0, smoothness_weight=1.0)
    start = torch.eye(3)[torch.arange(50) % 3]
    full = -2 * (start * catgan.log_resp_standardized(x)).sum(1).mean()
    for progress in (0.0, 0.25, 1.0):
        catgan.progress.fill_(progress)
        terms = catgan.discriminator_loss(Batch(x, start))
        torch.testing.assert_close(terms["initial"], (1 - progress) * full)
        assert terms["smoothness"] > 0


def test_a_class_prior_is_met_exactly_where_its_term_is_least():
    catgan = model()
    catgan.set_prior([6.0, 3.0, 1.0])
    logits = torch.zeros(1, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(catgan.imbalance(logits.log_softmax(1)), logits)
    assert gradient.abs().max() > 0.1
    at_prior = torch.tensor([[0.6, 0.3, 0.1]]).log().requires_grad_()
    (gradient,) = torch.autograd.grad(catgan.imbalance(at_prior.log_softmax(1)), at_prior)
    torch.testing.assert_close(gradient, torch.zeros(1, 3), atol=1e-6, rtol=0)


def test_labeled_samples_add_their_cross_entropy(x):
    catgan = model()
    catgan.label_weight = 3.0
    known = torch.rand(2, 6)
    target = torch.tensor([0, 2])
    both = torch.softmax(catgan.discriminator(torch.cat([x, known])), 1)
    terms = catgan.discriminator_loss(Batch(x, extra=Batch(known, columns={"target": target})))
    expected = -3 * (both[50, 0].log() + both[51, 2].log()) / 2
    torch.testing.assert_close(terms["labels"], expected)
    torch.testing.assert_close(terms["certainty"], plain_entropy(both[:50]).mean())


# ---- the clusterer


def test_score_is_the_mutual_information_of_the_rows_of_fit(rows):
    rows = rows[::2]
    catgan = CatGANClustering(3, **SMALL).fit(rows)
    p = catgan.predict_proba(rows).astype(float) ** catgan.temperature_
    p /= p.sum(1, keepdims=True)
    mean = p.mean(0)
    expected = -(mean * np.log(mean)).sum() + (p * np.log(p)).sum(1).mean()
    assert catgan.score(rows) == pytest.approx(expected, rel=1e-4)
    assert 0.8 * math.log(3) < catgan.score(rows) <= math.log(3)
    each = catgan.score_samples(rows[:5])
    np.testing.assert_allclose(each, (p * np.log(p / mean)).sum(1)[:5], rtol=1e-3)


UNEQUAL = make_blobs([160, 20, 20], centers=[[0, 0], [6, 0], [0, 6]], random_state=0)


def test_large_groups_stay_whole_unless_shares_are_equal():
    X, y = UNEQUAL
    whole, divided = (
        CatGANClustering(3, **SMALL, init_weight=0.5, class_prior=prior).fit_predict(X)
        for prior in ("auto", None)
    )
    assert adjusted_rand_score(y, whole) > 0.95 > adjusted_rand_score(y, divided)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_networks_of_the_users(rows):
    built = []

    def network(n_in, n_out):
        built.append((n_in, n_out))
        return nn.Sequential(nn.Linear(n_in, 8), nn.ReLU(), nn.Linear(8, n_out))

    networks = {"generator": network, "discriminator": network}
    CatGANClustering(3, **SMALL, **networks, max_epochs=2).fit(rows)
    assert built == [(4, 3), (64, 4)]
    with pytest.raises(ValueError, match=r"discriminator.* tensor \(2, 3\), but .*\(2, 1\)"):
        CatGANClustering(3, discriminator=lambda n_in, n_out: nn.Linear(n_in, 1)).fit(rows)


@pytest.mark.parametrize(
    ("prior", "message"),
    [([0.5, 0.5], r"class_prior.* shape of \(3,\)"), ([1.0, 0.0, 1.0], "must be positive")],
)
def test_priors_that_cannot_be_are_explained(prior, message, rows):
    with pytest.raises(ValueError, match=message):
        CatGANClustering(3, **SMALL, class_prior=prior).fit(rows)


# ---- the classifier


def test_rows_without_labels_teach():
    X, y = make_moons(300, noise=0.06, random_state=0)
    some = keep_some(y, 3)
    alone = LogisticRegression().fit(X[some >= 0], some[some >= 0]).score(X, y)
    catgan = CatGANClassifier(hidden_layer_sizes=(64, 64), random_state=0).fit(X, some)
    assert catgan.score(X, y) > 0.97 > alone


#: Markers of samples without a label, beside numbers and beside strings.
MISSING = [-1, np.float16(-1), None, np.nan, pd.NA]
NAMES = np.array(["fox", "hen", "owl"])


@pytest.mark.parametrize("names", [np.arange(3), NAMES], ids=["numbers", "strings"])
def test_markers_of_missing_labels_and_names_change_nothing(names, blobs):
    some = keep_some(blobs[1], 1)
    quick = {"hidden_layer_sizes": (4,), "random_state": 0, "max_epochs": 1}
    quick |= {"init": "own"}
    expected = CatGANClassifier(**quick).fit(blobs[0], some).predict_proba(blobs[0])
    for marker in [*MISSING, *(["-1"] if names is NAMES else [])]:
        y = names.astype(object)[some]
        y[some < 0] = marker
        for given in (y.tolist(), pd.Series(y)):
            fit = CatGANClassifier(**quick).fit(blobs[0], given)
            np.testing.assert_array_equal(fit.classes_, names)
            np.testing.assert_array_equal(fit.predict_proba(blobs[0]), expected)
            assert set(fit.predict(blobs[0])) <= set(names)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", 1, None], "mixes strings.*numbers"),
        (np.array([0.0, 1.0, np.inf]), "infinity"),
        (np.array([0.5, 1.5, np.nan]), "Unknown label type"),
        (["-1", "-1"], "No sample has a label"),
    ],
)
def test_mixed_or_no_labels_are_refused(labels, message):
    y = labels if isinstance(labels, np.ndarray) else np.array(labels, dtype=object)
    classifier = CatGANClassifier(**SMALL)
    before = dict(vars(classifier))
    with pytest.raises(ValueError, match=message):
        classifier.fit(np.random.default_rng(0).normal(size=(len(y), 2)), y)
    assert vars(classifier) == before


@pytest.mark.parametrize("kind", [str, int, object])
def test_minus_one_and_one_are_two_classes(kind, blobs):
    two = blobs[1] < 2
    X = blobs[0][two]
    y = np.where(blobs[1] == 0, -1, 1)[two].astype(kind)
    catgan = CatGANClassifier(**SMALL, max_epochs=20).fit(X, y)
    np.testing.assert_array_equal(catgan.classes_, np.unique(y))
    np.testing.assert_array_equal(catgan.predict(X), y)


def test_one_class_for_all_samples_is_a_warning(rows):
    y = np.full(180, -1)
    y[:2] = 0, 1
    with pytest.warns(ConvergenceWarning, match="All samples are classified as"):
        CatGANClassifier(**SMALL, max_epochs=2).fit(np.zeros_like(rows), y)


@pytest.mark.filterwarnings("ignore:.* of the samples left their initial clusters")
def test_the_class_prior_is_an_attribute(rows):
    for prior, expected in (
        (None, np.full(3, 1 / 3)),
        ([2.0, 1.0, 1.0], [0.5, 0.25, 0.25]),
        ("auto", None),
    ):
        fit = CatGANClustering(3, **SMALL, max_epochs=5, class_prior=prior).fit(rows)
        if expected is None:
            expected = np.bincount(fit.init_labels_, minlength=3) / len(rows)
        np.testing.assert_allclose(fit.class_prior_, expected, atol=1e-6)

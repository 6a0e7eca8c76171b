"""Exported estimators predict the same in another runtime."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from common import in_full
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
)
from torch import nn

import skdeepcluster as sk
from skdeepcluster import export
from skdeepcluster.export import to_onnx

pytest.importorskip("torch", "2.7")  # as the extra "onnx" says
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RANDOM = np.random.RandomState(0)
X = np.concatenate([RANDOM.normal(size=(40, 3)) + place for place in (100.0, 106.0, 112.0)])
X = X.astype(np.float32)
Y = np.where(np.arange(120) % 10 == 0, np.repeat([0, 1, 2], 40), -1)
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 5, "random_state": 0}
FROM_EM = SMALL | {"init": "own"}


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out)


def find_private(path):
    """Return the names of folders and source files of this machine that a file contains."""
    secrets = {str(Path.home()), os.getcwd(), sys.prefix, str(Path(torch.__file__).parents[1])}
    secrets |= {str(Path(sk.__file__).parent), ".py", "site-packages", 'File "'}
    content = path.read_bytes()
    return {secret for secret in secrets if secret.encode() in content}


SHARES = ((X - X.min(0)) / np.ptp(X, axis=0)).astype(np.float32)
MIXED = np.hstack([X, SHARES, np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], 40)]])
KINDS = {"gaussian": [0, 1, 2], "bernoulli": [3, 4, 5], "categorical": [[6, 7, 8]]}


@pytest.mark.parametrize(
    "case",
    [
        (sk.GaussianMixtureEM(3, random_state=0), X),
        (sk.NeighborClustering(2, metric="cosine", n_neighbors=8, random_state=0), X),
        (sk.CatGANClustering(3, **FROM_EM), X),
        *in_full(
            (sk.VaDEClustering(3, encoder=linear, **FROM_EM), X),
            (sk.VAEEmbedding(3, **FROM_EM), SHARES),
            (sk.GaussianMixtureEM(3, covariance_type="spherical", random_state=0), X),
            (sk.VAEEmbedding(3, **FROM_EM), X),
            (sk.VAEEmbedding(3, likelihood=KINDS, **FROM_EM), MIXED),
            (sk.VaDEClustering(3, **FROM_EM), SHARES),
            (sk.DACClustering(3, **FROM_EM), X),
            (sk.InfoGANClustering(3, **FROM_EM), X),
            (sk.CatGANClustering(3, likelihood=KINDS, **FROM_EM), MIXED),
            (sk.CatGANClassifier(**SMALL), X),
        ),
    ],
    ids=lambda case: type(case[0]).__name__,
)
def test_predictions_are_the_same(case, tmp_path):
    estimator, given = case
    to_onnx(estimator.fit(given, Y), tmp_path / "fit.onnx")
    assert not find_private(tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    names = [output.name for output in session.get_outputs()]
    for rows in (given, given[:1], *([X + 1] if given is X else [])):
        found = dict(zip(names, session.run(None, {"X": rows}), strict=True))
        expected = estimator.predict_proba(rows)
        np.testing.assert_allclose(found["probabilities"], expected, atol=2e-4)
        sure = np.sort(expected, 1)[:, -1] > 0.51
        np.testing.assert_array_equal(found["labels"][sure], expected.argmax(1)[sure])
        assert ("codes" in found) == hasattr(estimator, "transform")
        if "codes" in found:
            np.testing.assert_allclose(found["codes"], estimator.transform(rows), atol=2e-3)
    if given is X:
        check_missing_values(estimator, session)


def check_missing_values(estimator, session):
    """Check that samples with gaps are never a silent cluster: only networks fill them."""
    rows = X.copy()
    rows[::4, 1] = np.nan
    labels, resp = session.run(["labels", "probabilities"], {"X": rows})
    expected = estimator.predict(rows)
    gaps = np.isnan(rows).any(1)
    np.testing.assert_array_equal(labels[~gaps], expected[~gaps])
    if hasattr(estimator, "model_"):
        np.testing.assert_array_equal(labels, expected)
    else:
        assert (labels[gaps] == -1).all()
        assert np.isnan(resp[gaps]).all()


def draw_unusual_samples():
    """Draw 1,000 samples with copies, ties, zeros and midpoints, and some with extreme values."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(800, 5)) + 4 * rng.normal(size=(4, 5))[np.arange(800) % 4]
    rows[100:140], rows[140:180], rows[180:190] = rows[60:100], np.round(rows[140:180]), 0
    between = (rows[:200] + rows[200:400]) / 2
    far = np.concatenate([rows[:5] + scale * np.eye(5) for scale in (1e6, -1e12, 1e20, -1e30)])
    far = np.concatenate([far, np.outer([1e6, -1e12, 1e20, 1e37, 1e-30, -1e-44], np.ones(5))])
    return np.concatenate([rows, between]).astype(np.float32), far.astype(np.float32)


ALL = SMALL | {"init": "own", "contamination": 0.05}


@pytest.mark.parametrize(
    "estimator",
    [
        sk.NeighborClustering(4, contamination=0.05, standardize=True, random_state=0),
        sk.VAEEmbedding(4, **ALL),
        *in_full(
            sk.NeighborClustering(4, random_state=0),
            sk.NeighborClustering(4, metric="cosine", contamination=0.05, random_state=0),
            sk.NeighborClustering(4, metric="cosine", random_state=0),
            *(
                sk.GaussianMixtureEM(4, covariance_type=kind, random_state=0)
                for kind in ("full", "tied", "diag", "spherical")
            ),
            sk.VaDEClustering(4, **ALL),
            sk.DACClustering(4, **ALL),
            sk.InfoGANClustering(4, **ALL),
            sk.CatGANClustering(4, **ALL),
            sk.CatGANClassifier(**SMALL),
        ),
    ],
    ids=lambda estimator: str(estimator)[:50],
)
def test_noise_ties_and_extremes_get_the_same_labels(estimator, tmp_path):
    rows, far = draw_unusual_samples()
    to_onnx(estimator.fit(rows, np.arange(1000) % 4), tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    for given in (rows, far):
        labels, resp = session.run(["labels", "probabilities"], {"X": given})
        np.testing.assert_array_equal(labels, estimator.predict(given))
        assert np.isfinite(resp).all()
    if getattr(estimator, "contamination", 0):
        assert 25 <= (estimator.labels_ == -1).sum() <= 50


def test_the_last_neighbor_among_equally_near_samples_is_the_same(tmp_path):
    rows = (np.arange(60) + 20 * (np.arange(60) // 20))[:, None].astype(np.float32) / 7
    fit = sk.NeighborClustering(3, n_neighbors=3, random_state=0).fit(rows)
    to_onnx(fit, tmp_path / "fit.onnx")
    between = (rows[1:] + rows[:-1]) / 2
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    codes = session.run(["codes"], {"X": between})[0]
    np.testing.assert_allclose(codes, fit.transform(between), rtol=1e-5)


NAMED = pd.DataFrame(
    {"kind": np.repeat(["a", "b", "c"], 40), "one": X[:, 0] - 100, "two": X[:, 1] - 100}
)
COLUMNS = ColumnTransformer(
    [
        ("kind", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
        ("one", make_pipeline(SimpleImputer(), PowerTransformer()), ["one"]),
    ],
    remainder="passthrough",
    sparse_threshold=0,
)
UNNAMED = ColumnTransformer([("a", MinMaxScaler(), [0, 2])], remainder="passthrough")


@pytest.mark.parametrize(
    "steps",
    [[COLUMNS], *in_full(["passthrough"], [UNNAMED, PCA(2)])],
    ids=["names", "nothing", "columns"],
)
def test_pipelines_predict_the_same(steps, tmp_path):
    pytest.importorskip("skl2onnx")
    rows = NAMED if steps == [COLUMNS] else X
    vae = sk.VAEEmbedding(3, kinds="numbers", **FROM_EM)
    pipeline = make_pipeline(*steps, vae).fit(rows)
    to_onnx(pipeline, tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    fed = {"X": rows}
    if rows is NAMED:
        fed = {name: rows[[name]].to_numpy() for name in rows}
        fed = {name: v.astype(str if name == "kind" else np.float32) for name, v in fed.items()}
    labels, probabilities, codes = session.run(["labels", "probabilities", "codes"], fed)
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(rows), atol=1e-3)
    np.testing.assert_allclose(codes, pipeline.transform(rows), atol=1e-3)
    np.testing.assert_array_equal(labels, pipeline.predict(rows))
    assert not find_private(tmp_path / "fit.onnx")


@pytest.mark.parametrize(
    "columns",
    [make_column_selector(dtype_include="number"), *in_full(np.array([False, True, True]))],
    ids=["selector", "mask"],
)
def test_only_chosen_columns_are_inputs(columns, tmp_path):
    pytest.importorskip("skl2onnx")
    inner = make_pipeline("passthrough", sk.GaussianMixtureEM(3, random_state=0))
    steps = "passthrough", ColumnTransformer([("scale", MinMaxScaler(), columns)]), inner
    pipeline = make_pipeline(*steps).fit(NAMED)
    to_onnx(pipeline, tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    fed = {name: NAMED[[name]].to_numpy(np.float32) for name in ("one", "two")}
    assert [own.name for own in session.get_inputs()] == list(fed)
    labels, probabilities = session.run(["labels", "probabilities"], fed)
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(NAMED), atol=1e-3)
    np.testing.assert_array_equal(labels, pipeline.predict(NAMED))


def test_a_pipeline_that_cannot_be_converted_is_named(monkeypatch, tmp_path):
    pytest.importorskip("skl2onnx")
    versions = [SimpleNamespace(domain="", version=18)]
    monkeypatch.setattr(export, "_export", lambda *_: SimpleNamespace(opset_import=versions))
    unknown = FunctionTransformer(np.arcsinh)
    pipeline = make_pipeline(unknown, sk.GaussianMixtureEM(3, random_state=0)).fit(X)
    with pytest.raises(TypeError, match=r"cannot be exported: .*Export pipeline"):
        to_onnx(pipeline, tmp_path / "fit.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"ClusterEnsemble has neither.*estimators_"):
        to_onnx(sk.ClusterEnsemble(KMeans(3), 2).fit(X), tmp_path / "fit.onnx")
    neighbors = sk.NeighborClustering(3, metric="manhattan", random_state=0).fit(X)
    with pytest.raises(TypeError, match="can be exported, got metric='manhattan'"):
        to_onnx(neighbors, tmp_path / "fit.onnx")
    with pytest.raises(NotFittedError):
        to_onnx(sk.VAEEmbedding(3), tmp_path / "fit.onnx")

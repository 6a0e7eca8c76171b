"""An exported estimator answers in another runtime as it does here."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch import nn

from skdeepcluster import (
    CatGANClassifier,
    CatGANClustering,
    ClusterEnsemble,
    DACClustering,
    GaussianMixtureEM,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.export import to_onnx

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

STREAM = np.random.RandomState(0)
X = np.concatenate([STREAM.normal(size=(40, 3)) + place for place in (100.0, 106.0, 112.0)])
X = X.astype(np.float32)
Y = np.where(np.arange(120) % 10 == 0, np.repeat([0, 1, 2], 40), -1)
SMALL = {"hidden_layer_sizes": (8, 8), "max_epochs": 5, "random_state": 0}
FROM_EM = SMALL | {"init": "mixture"}


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianMixtureEM(3, random_state=0),
        GaussianMixtureEM(3, covariance_type="spherical", random_state=0),
        NeighborClustering(3, n_neighbors=8, random_state=0),
        NeighborClustering(2, metric="cosine", n_neighbors=8, random_state=0),
        VAEEmbedding(3, **FROM_EM),
        VaDEClustering(3, encoder=linear, **FROM_EM),
        # Exported by the same lines as those above.
        pytest.param(DACClustering(3, **FROM_EM), marks=pytest.mark.full),
        pytest.param(InfoGANClustering(3, **FROM_EM), marks=pytest.mark.full),
        CatGANClustering(3, **FROM_EM),
        pytest.param(CatGANClassifier(**SMALL), marks=pytest.mark.full),
    ],
    ids=lambda e: type(e).__name__,
)
def test_answers_are_the_same(estimator, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X, Y)
    to_onnx(estimator, tmp_path / "fit.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "fit.onnx")
    names = [output.name for output in session.get_outputs()]
    for rows in (X, X[:1], X + 1):
        answers = dict(zip(names, session.run(None, {"X": rows}), strict=True))
        expected = estimator.predict_proba(rows)
        np.testing.assert_allclose(answers["probabilities"], expected, atol=2e-4)
        sure = np.sort(expected, 1)[:, -1] > 0.51
        np.testing.assert_array_equal(answers["labels"][sure], expected.argmax(1)[sure])
        assert ("codes" in answers) == hasattr(estimator, "transform")
        if "codes" in answers:
            np.testing.assert_allclose(answers["codes"], estimator.transform(rows), atol=2e-3)


def test_what_cannot_be_exported_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"ClusterEnsemble has neither.*estimators_"):
        to_onnx(ClusterEnsemble(KMeans(3), 2).fit(X), tmp_path / "fit.onnx")
    for rows, metric in ((sparse.csr_array(X), "euclidean"), (X, "manhattan")):
        fitted = NeighborClustering(3, metric=metric, random_state=0).fit(rows)
        with pytest.raises(TypeError, match=f"by the metric '{metric}' on .* cannot be exported"):
            to_onnx(fitted, tmp_path / "fit.onnx")
    with pytest.raises(NotFittedError):
        to_onnx(VAEEmbedding(3), tmp_path / "fit.onnx")
    assert not (tmp_path / "fit.onnx").exists()

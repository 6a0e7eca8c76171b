"""Estimators in pipelines, searches and other schedulers."""

import pickle
import warnings

import numpy as np
import pytest
from common import BRIEF, CLASSIFIERS, DEEP, ONE_OF_EACH, brief, name, some_of
from joblib import parallel_config
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeepcluster import VaDEClustering
from skdeepcluster.metrics import expected_score
from skdeepcluster.model_selection import NoSplit, label_free_scorer

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("no_alternatives"),
]
STREAM = np.random.RandomState(0)
Y = np.repeat([0, 1, 2], 30)
X = STREAM.normal(size=(90, 4)) + 7.0 * np.eye(4)[Y]
SCORED = [e for e in [*ONE_OF_EACH, *CLASSIFIERS] if hasattr(e, "score")]


def vade(**settings):
    quick = BRIEF | {"init": "own", "hidden_layer_sizes": (16,), "random_state": 0}
    return VaDEClustering(3, **quick | settings)


@pytest.mark.parametrize("estimator", some_of(DEEP), ids=name)
def test_text_stays_sparse_to_the_last_step(estimator, monkeypatch):
    words = [[f"{topic}{i}" for i in range(60)] for topic in ("ball", "bank", "gene")]
    texts = [" ".join(STREAM.choice(words[k], 12)) for k in np.arange(60) % 3]
    dense = []
    to_array = sparse.csr_array.toarray

    def note(rows, *arguments, **options):
        dense.append(rows.shape)
        return to_array(rows, *arguments, **options)

    for kind in (sparse.csr_array, sparse.csr_matrix):
        monkeypatch.setattr(kind, "toarray", note)
    settings = {"batch_size": 16, "init": "own"}
    model = make_pipeline(TfidfVectorizer(), brief(estimator, **settings))
    labels = model.fit_predict(texts)
    np.testing.assert_array_equal(labels, model.predict(texts))
    # Training makes one batch dense at a time: two epochs of three whole batches, at least.
    assert dense.count((16, len(model[0].vocabulary_))) >= 2 * 3


# ---- searches


@pytest.mark.parametrize("estimator", some_of(SCORED), ids=name)
def test_searches_by_own_score(estimator):
    model = make_pipeline(StandardScaler(), brief(estimator))
    grids = {"reg_covar": [1e-3, 1e-2], "learning_rate": [1e-3, 1e-2]}
    key = next(key for key in grids if key in estimator.get_params())
    grid = {f"{type(estimator).__name__.lower()}__{key}": grids[key]}
    split = StratifiedKFold(2)
    search = GridSearchCV(model, grid, cv=split, error_score="raise").fit(X[::2], Y[::2])
    learn, judge = (2 * index for index in next(split.split(X[::2], Y[::2])))
    chosen = clone(model).set_params(**search.best_params_).fit(X[learn], Y[learn])
    found = chosen.score(X[judge], Y[judge])
    assert found == search.cv_results_["split0_test_score"][search.best_index_]


@pytest.mark.full  # jobs are tried on an ensemble, Dask's processes on a mixture
def test_two_jobs_and_two_dask_workers_find_the_same():
    distributed = pytest.importorskip("distributed")
    search = GridSearchCV(vade(), {"n_components": [1, 2]}, cv=2, error_score="raise")
    alone = clone(search).fit(X)
    two = clone(search).set_params(n_jobs=2).fit(X)
    workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(processes=True, **workers) as cluster,
        distributed.Client(cluster),
        parallel_config("dask"),
    ):
        warnings.simplefilter("ignore")
        spread = clone(search).fit(X)
    for other in (two, spread):
        np.testing.assert_array_equal(
            alone.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"]
        )


# ---- routing of weights


@pytest.mark.parametrize("estimator", some_of([*ONE_OF_EACH, *CLASSIFIERS]), ids=name)
def test_pipelines_and_searches_route_weights(estimator):
    if name(estimator) == "ClusterEnsemble":
        pytest.skip("The fit of an ensemble takes no weights.")
    weights = np.where(np.arange(90) % 9, 1.0, 0.1)
    rows = X - 4.0 * np.eye(4)[Y]
    clusterer = brief(estimator)
    expected = clone(clusterer).fit(rows, Y, sample_weight=weights).predict_proba(rows)
    with config_context(enable_metadata_routing=True):
        step = clusterer.set_fit_request(sample_weight=True)
        model = make_pipeline("passthrough", step).fit(rows, Y, sample_weight=weights)
        settings = {"scoring": label_free_scorer(), "cv": NoSplit(), "error_score": "raise"}
        grid = {f"{name(estimator).lower()}__random_state": [0]}
        search = GridSearchCV(model, grid, **settings).fit(rows, Y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(rows), expected)
    np.testing.assert_array_equal(search.predict_proba(rows), expected)
    assert abs(clone(clusterer).fit(rows, Y).predict_proba(rows) - expected).max() > 0


# ---- scores without labels


def test_label_free_scorers_survive_one_cluster_and_pickle():
    scorer = label_free_scorer()
    grid = {"n_clusters": [1, 2, 3, 5]}
    kmeans = KMeans(n_init=3, random_state=0)
    search = GridSearchCV(kmeans, grid, scoring=scorer, cv=NoSplit(), error_score="raise").fit(X)
    assert search.best_params_ == {"n_clusters": 3}
    assert pickle.loads(pickle.dumps(scorer))(search.best_estimator_, X) == search.best_score_


def test_label_free_scorers_take_labels_without_predict():
    scorer = label_free_scorer(metric="cosine")
    fitted = make_pipeline(StandardScaler(), AgglomerativeClustering(3)).fit(X)
    assert scorer(fitted, X) == expected_score(X, fitted[-1].labels_, metric="cosine")
    with pytest.raises(ValueError, match="AgglomerativeClustering has no predict.*NoSplit"):
        scorer(fitted, X[:9])

"""The methods of this package and of other libraries: how each is called, timed and judged.

Their settings are described in docs/benchmarks.md, "Settings of the methods".
"""

import ctypes
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from sklearn.cluster import (
    HDBSCAN,
    AgglomerativeClustering,
    KMeans,
    MiniBatchKMeans,
    SpectralClustering,
)
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.metrics import silhouette_score
from sklearn.mixture import GaussianMixture
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import minmax_scale

import skdeepcluster
from skdeepcluster.metrics import match_labels
from skdeepcluster.neighbors import neighbor_graph

from .methods import NETWORKS
from .records import N_THREADS, calibration_error, judged

MAX_SAMPLES = 12_000  # of methods that grow quadratically
MAX_FEATURES = 50  # of full covariances and of HDBSCAN
MAX_EXACT = 30  # features up to which PLSCAN's search for neighbors is exact
MAX_CONTROLLED = 100_000  # samples of a control
#: Numbers of clusters that are tried where K is open.
NUMBERS = (*range(1, 13), 14, 16, 18, 20, 23, 26, 29, 32, 36, 40, 45, 50)
#: Samples by which their number is chosen.
MAX_COUNTED = 2_000
EVOC_FEATURES = 4  # default dimension of EVoC's embedding; it fails with fewer features
#: Samples of a warm-up: umap-learn compiles another path from 4,096 samples on.
WARM_UP = {False: (300,), True: (300, 4500)}


class Method(NamedTuple):
    """How a method is called: ``fit(X, n_clusters, seed)`` returns labels or a fitted network."""

    fit: Callable
    needs: str = ""  # the module of another library
    max_samples: float = np.inf
    is_dense: bool = False
    is_random: bool = True
    is_compiled: bool = False  # by numba, at its first calls


def kmeans(X, n_clusters, seed):
    """k-means."""
    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)


def minibatch_kmeans(X, n_clusters, seed):
    """k-means by steps of gradient descent."""
    return MiniBatchKMeans(n_clusters, random_state=seed).fit_predict(X)


def mixture(kind, X, n_clusters, seed):
    """Gaussian mixture of scikit-learn or of this package."""
    name, share = ("full", 1e-4) if X.shape[1] <= MAX_FEATURES else ("diag", 1e-2)
    settings = {"covariance_type": name, "reg_covar": share * float(np.nanvar(X, axis=0).mean())}
    return kind(n_clusters, n_init=3, random_state=seed, **settings).fit_predict(X)


def ward(X, n_clusters, seed):
    """Ward's agglomeration."""
    return AgglomerativeClustering(n_clusters).fit_predict(X)


def spectral(X, n_clusters, seed):
    """Spectral clustering of the graph of nearest neighbors."""
    settings = {"affinity": "nearest_neighbors", "n_jobs": N_THREADS}
    return SpectralClustering(n_clusters, random_state=seed, **settings).fit_predict(X)


def hdbscan(X, n_clusters, seed):
    """HDBSCAN, on principal components if there are many features."""
    X = components(X, MAX_FEATURES)
    return HDBSCAN(min_cluster_size=15, n_jobs=N_THREADS, copy=True).fit_predict(X)


def components(X, n_components):
    """Return principal components if there are more features, else the features."""
    if X.shape[1] <= n_components:
        return X
    reduction = TruncatedSVD if issparse(X) else PCA
    return reduction(n_components, random_state=0).fit_transform(X)


def fast_hdbscan(X, n_clusters, seed):
    """HDBSCAN on numba, without principal components."""
    from fast_hdbscan import HDBSCAN as FastHDBSCAN

    return FastHDBSCAN(min_cluster_size=15).fit_predict(X)


def plscan(X, n_clusters, seed):
    """PLSCAN, on principal components if there are many features."""
    from fast_hdbscan import PLSCAN
    from numba import set_num_threads

    set_num_threads(N_THREADS)
    X = np.ascontiguousarray(components(X, MAX_EXACT))
    return PLSCAN().fit_predict(X)


def communities(name, X, n_clusters, seed):
    """Communities in the graph of nearest neighbors, by scikit-network."""
    from sknetwork import clustering

    # Leiden draws random numbers by C, whose seed its random_state does not set.
    ctypes.CDLL(None).srand(seed)
    graph = neighbor_graph(X, n_jobs=N_THREADS)
    # Weights of another type would be cut to whole numbers.
    graph = graph.astype(np.float64)
    return getattr(clustering, name)().fit_predict(graph)


def umap_then(cluster, X, n_clusters, seed):
    """umap-learn's embedding, and clusters in it."""
    from umap import UMAP

    # With a seed umap-learn runs on one thread.
    settings = {"random_state": seed if N_THREADS == 1 else None, "n_jobs": N_THREADS}
    embedding = UMAP(n_components=10, n_neighbors=15, min_dist=0, **settings).fit_transform(X)
    return cluster(embedding, n_clusters, seed)


def evoc(X, n_clusters, seed):
    """Embedding vector oriented clustering."""
    from evoc import EVoC

    settings = {"node_embedding_dim": X.shape[1]} if X.shape[1] < EVOC_FEATURES else {}
    return EVoC(approx_n_clusters=n_clusters, random_state=seed, **settings).fit_predict(X)


def clustpy(name, X, n_clusters, seed):
    """Fit a network of ClustPy."""
    from clustpy import deep

    made = getattr(deep, name)(n_clusters, random_state=seed)
    return made.fit_predict(minmax_scale(X).clip(0, 1))


def neighbor_clustering(X, n_clusters, seed):
    """NeighborClustering of this package."""
    return network("NeighborClustering", X, n_clusters, seed, n_jobs=N_THREADS).labels_


def network(name, X, n_clusters, seed, **settings):
    """Fit a network of this package."""
    return getattr(skdeepcluster, name)(n_clusters, random_state=seed, **settings).fit(X)


def with_k_open(method, unknown):
    """Return a method that finds the number of clusters."""
    return lambda X, _, seed: method(X, unknown, seed)


def reduce(X):
    """Return at most `MAX_COUNTED` samples and `MAX_FEATURES` components to choose a number by."""
    X = X[np.random.RandomState(0).permutation(len(X))[:MAX_COUNTED]]
    return components(X, MAX_FEATURES)


def kmeans_by_silhouette(X, _, seed):
    """k-means with the number of clusters that has the best silhouette."""
    some = reduce(X)
    numbers = [k for k in NUMBERS[1:] if k < len(some) // 5]
    scores = [silhouette_score(some, kmeans(some, k, seed)) for k in numbers]
    return kmeans(X, numbers[int(np.argmax(scores))], seed)


def mixture_by_bic(X, _, seed):
    """Gaussian mixture with the number of components that has the best BIC."""
    some = reduce(X)
    numbers = [k for k in NUMBERS if k < len(some) // 5]
    reg_covar = 1e-4 * float(some.var(axis=0).mean())
    settings = {"reg_covar": reg_covar, "random_state": seed}
    scores = [GaussianMixture(k, **settings).fit(some).bic(some) for k in numbers]
    return gmm(X, numbers[int(np.argmin(scores))], seed)


gmm = partial(mixture, GaussianMixture)
DENSE = partial(Method, is_dense=True)
UMAP = partial(DENSE, needs="umap", is_compiled=True)
FAST_HDBSCAN = partial(DENSE, needs="fast_hdbscan", is_random=False, is_compiled=True)
COMMUNITIES = partial(Method, needs="sknetwork")
METHODS = {
    "KMeans": Method(kmeans),
    "MiniBatchKMeans": Method(minibatch_kmeans),
    "GaussianMixture": DENSE(gmm),
    "Ward": DENSE(ward, max_samples=MAX_SAMPLES, is_random=False),
    "SpectralClustering": Method(spectral, max_samples=MAX_SAMPLES),
    "HDBSCAN": Method(hdbscan, is_random=False),
    "fast_hdbscan": FAST_HDBSCAN(fast_hdbscan),
    "PLSCAN": FAST_HDBSCAN(plscan),
    "Louvain": COMMUNITIES(partial(communities, "Louvain"), is_random=False),
    "Leiden": COMMUNITIES(partial(communities, "Leiden")),
    "umap-learn + GMM": UMAP(partial(umap_then, gmm)),
    "umap-learn + HDBSCAN": UMAP(partial(umap_then, hdbscan)),
    "EVoC": DENSE(evoc, needs="evoc", is_compiled=True),
    "ClustPy VaDE": DENSE(partial(clustpy, "VaDE"), needs="clustpy"),
    "ClustPy DEC": DENSE(partial(clustpy, "DEC"), needs="clustpy"),
    "NeighborClustering": Method(neighbor_clustering),
    "GaussianMixtureEM": DENSE(partial(mixture, skdeepcluster.GaussianMixtureEM)),
    "NeighborClustering, K open": Method(with_k_open(neighbor_clustering, "auto")),
    "EVoC, K open": DENSE(with_k_open(evoc, None), needs="evoc", is_compiled=True),
    "KMeans by silhouette": DENSE(kmeans_by_silhouette),
    "GaussianMixture by BIC": DENSE(mixture_by_bic),
}
METHODS |= {name: DENSE(partial(network, name)) for name in NETWORKS}
METHODS |= {f"{name}, own": DENSE(partial(network, name, init="own")) for name in NETWORKS}


def installed(methods):
    """Return the methods that can be imported; print a line for each one that cannot."""
    missing = [m for m in methods if METHODS[m].needs and find_spec(METHODS[m].needs) is None]
    for method in missing:
        print(f'{method}: skipped, not installed: pip install -e ".[rivals]"')
    return [method for method in methods if method not in missing]


def versions():
    """Return the versions of the packages that methods use, as far as they are installed."""
    modules = {"umap": "umap-learn", "sknetwork": "scikit-network"}
    modules |= dict.fromkeys(("evoc", "fast_hdbscan", "clustpy", "numba"))
    others = [name or module for module, name in modules.items() if find_spec(module)]
    return {name: version(name) for name in ("numpy", "scikit-learn", "torch", *others)}


def as_needed(method, X):
    """Return the samples, as a dense array if the method needs one."""
    return X.toarray() if METHODS[method].is_dense and issparse(X) else X


def fit(method, X, n_clusters, seed):
    """Fit a method without warnings; return its labels, or a fitted network."""
    torch.set_num_threads(N_THREADS)
    with warnings.catch_warnings(action="ignore"):
        return METHODS[method].fit(as_needed(method, X), n_clusters, seed)


def warm_up(method, X, done):
    """Fit drawn samples of the type of X, so that imports and compilation are not timed.

    `done` is the set of warm-ups that have been made.
    """
    kind = method, issparse(X), X.dtype, X.shape[1] > MAX_FEATURES
    if kind in done:
        return
    for n_samples in WARM_UP[METHODS[method].is_compiled]:
        n_features = min(X.shape[1], 2 * MAX_FEATURES)
        drawn, _ = make_blobs(n_samples, n_features, centers=5, random_state=0)
        drawn = drawn.astype(X.dtype)
        if issparse(X):
            drawn = csr_array(drawn * (drawn > np.quantile(drawn, 0.9)))
        fit(method, drawn, 5, 0)
    done.add(kind)


def measured(method, data, seed, done):
    """Fit a method after a warm-up; return its record, or the error it raised.

    It is judged by the samples that have a class, from 0 on.
    """
    try:
        warm_up(method, data.X, done)
        started = time.perf_counter(), time.process_time()
        found = fit(method, data.X, data.n_clusters, seed)
        ended = time.perf_counter(), time.process_time()
    except Exception as error:  # another library may raise anything, and the others go on
        text = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return {"error": text, "acc": 0.0, "ari": 0.0, "seconds": np.nan, "cpu_seconds": np.nan}
    labels = np.asarray(getattr(found, "labels_", found))
    seconds, cpu_seconds = (round(b - a, 3) for a, b in zip(started, ended, strict=True))
    known = data.y >= 0
    record = judged(data.y[known], labels[known]) | {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }
    record |= {"found": len(np.unique(labels[labels >= 0])), "noise": float(np.mean(labels < 0))}
    if hasattr(found, "labels_"):
        record |= judge_parts(found, as_needed(method, data.X), data.y, seed)
    return record


def judge_parts(network, X, y, seed):
    """Judge the initial partition of a network, a control trained on it, and probabilities."""
    judgments = {}
    if network.init_labels_ is not None:
        judgments["start"] = judged(y, network.init_labels_)
    if judgments and network.init != "own" and len(X) <= MAX_CONTROLLED:
        judgments["control"] = judged(y, control(network, X, seed))
    right = match_labels(y, network.labels_) == y
    return {
        **{f"{name}_{key}": of[key] for name, of in judgments.items() for key in ("acc", "ari")},
        "moved": network.moved_,
        "ece": calibration_error(right, network.probabilities_.astype(float)),
    }


def control(network, X, seed):
    """Return the labels of a plain classifier of the network's width and 12 epochs.

    It is trained on the initial partition of the network, in the network's batches.
    """
    model = network.model_
    with torch.inference_mode():
        x = torch.as_tensor(network.preparation_.read(X), dtype=torch.float32)
        x = x.to(next(model.parameters()).device)
        x_std = model.likelihood.standardize(x).cpu().numpy()
    settings = {"batch_size": min(network.batch_size_, len(x_std)), "random_state": seed}
    classifier = MLPClassifier(network.hidden_layer_sizes_[:2], max_iter=12, **settings)
    with warnings.catch_warnings(action="ignore"):
        return classifier.fit(x_std, network.init_labels_).predict(x_std)

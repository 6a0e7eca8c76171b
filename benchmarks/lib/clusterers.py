"""The methods of this package and their rivals: how each is called, warmed up, timed and judged.

All get the rows as they are in the set, K, a seed and a number of threads, and use Euclidean
distances, but for EVoC, which knows the cosine only. Where a choice is left, it is this one:

- KMeans: 10 restarts.
- GaussianMixture: 3 restarts; full covariances up to 50 features, diagonal ones above.
  ``reg_covar`` is the mean variance of the features times 1e-4 (full) or 1e-2 (diagonal, where
  pixels and words may be constant in a component).
- Ward, SpectralClustering: at most 12,000 rows, since their memory or time grows as their square;
  spectral clustering by the graph of 10 nearest neighbours, divided by k-means.
- HDBSCAN: scikit-learn's, ``min_cluster_size=15``; of more than 50 features the first 50 principal
  components (of sparse rows the truncated SVD). It is not told K.
- umap-learn + GMM: 10 dimensions, 15 neighbours, ``min_dist=0``, then a mixture as above with full
  covariances; umap-learn + HDBSCAN: the same layout, then HDBSCAN as above. umap-learn runs on one
  thread if it gets a seed: with more threads it gets none.
- EVoC: ``approx_n_clusters=K``; ``node_embedding_dim`` is the number of features if that is below
  its 4, since it fails otherwise.
- ClustPy: 100 epochs of pretraining and 150 more in batches of 256, its defaults, of features
  scaled to [0, 1], which its VaDE needs. It has to be installed by hand.
- start: the function ``find_partition`` of this package.
- Networks: their defaults. A record has what the start of the same fit is worth, and a control: a
  plain classifier trained on that start, see ``lib/plain_classifier.py``, of at most 20,000 rows.
  GaussianMixtureEM has the settings of the mixture above.
- Networks, augmented: the same, of images only, with ``augment=RandomAffine(...)``.
- Networks, from CatGAN (not the VAE): the same, but from the clusters of a fit of
  CatGANClustering, which is in the seconds; the start of the record is that fit.

Ward and HDBSCAN draw nothing: they are fitted with the first seed only. The mixture, Ward and EVoC
need dense rows and get sparse ones as an array, within the time; so does umap-learn, whose sparse
distances numba (0.68) fails to compile.
"""

import importlib
import math
import time
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.cluster import HDBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import minmax_scale

import skdeepcluster
from skdeepcluster.metrics import expected_calibration_error, match_labels
from skdeepcluster.modules.augmentation import RandomAffine
from skdeepcluster.neighbors import find_partition

from .methods import NETWORKS
from .plain_classifier import predict_by_plain_classifier
from .records import judged

MOST_ROWS = 12_000  # of methods that grow as the square of the rows
MOST_FEATURES = 50  # of full covariances, and of HDBSCAN
MOST_CONTROLLED = 20_000  # rows of a control
EVOC_FEATURES = 4  # of EVoC's embedding, which fails on rows of fewer
#: Rows of a warm-up: umap-learn takes another path from 4,096 rows on, which is compiled as well.
WARM_ROWS = {False: (300,), True: (300, 4500)}


class Method(NamedTuple):
    """How a method is called: ``fit(X, n_clusters, seed, threads)`` gives labels or a fit."""

    fit: Callable
    needs: str = ""  # the module of a rival
    packages: tuple = ("scikit-learn",)  # their versions are kept
    most_rows: float = np.inf
    is_dense: bool = False
    needs_images: bool = False
    is_random: bool = True
    is_compiled: bool = False  # by numba, at its first calls


def kmeans(X, n_clusters, seed, threads):
    """k-means."""
    return KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(X)


def gaussian_mixture(X, n_clusters, seed, threads):
    """Gaussian mixture."""
    return GaussianMixture(n_clusters, random_state=seed, **mixture_settings(X)).fit_predict(X)


def gaussian_mixture_em(X, n_clusters, seed, threads):
    """Gaussian mixture of this package."""
    mixture = skdeepcluster.GaussianMixtureEM(n_clusters, random_state=seed, **mixture_settings(X))
    return mixture.fit_predict(X)


def mixture_settings(X):
    """Restarts, kind of covariances and regularisation of a mixture of dense rows."""
    kind, share = ("full", 1e-4) if X.shape[1] <= MOST_FEATURES else ("diag", 1e-2)
    reg_covar = share * float(X.var(axis=0).mean())
    return {"n_init": 3, "covariance_type": kind, "reg_covar": reg_covar}


def ward(X, n_clusters, seed, threads):
    """Ward's agglomeration."""
    return AgglomerativeClustering(n_clusters).fit_predict(X)


def spectral(X, n_clusters, seed, threads):
    """Spectral clustering of the graph of nearest neighbours."""
    settings = {"affinity": "nearest_neighbors", "assign_labels": "kmeans", "n_jobs": threads}
    return SpectralClustering(n_clusters, random_state=seed, **settings).fit_predict(X)


def hdbscan(X, n_clusters, seed, threads):
    """HDBSCAN, of principal components if there are many features."""
    if X.shape[1] > MOST_FEATURES:
        reduction = TruncatedSVD if issparse(X) else PCA
        X = reduction(MOST_FEATURES, random_state=0).fit_transform(X)
    return HDBSCAN(min_cluster_size=15, n_jobs=threads, copy=True).fit_predict(X)


def umap_mixture(X, n_clusters, seed, threads):
    """umap-learn's layout, and a Gaussian mixture in it."""
    return gaussian_mixture(umap_layout(X, seed, threads), n_clusters, seed, threads)


def umap_hdbscan(X, n_clusters, seed, threads):
    """umap-learn's layout, and HDBSCAN in it."""
    return hdbscan(umap_layout(X, seed, threads), n_clusters, seed, threads)


def umap_layout(X, seed, threads):
    """Return umap-learn's layout of X."""
    layout = importlib.import_module("umap").UMAP(
        n_components=10,
        n_neighbors=15,
        min_dist=0,
        random_state=seed if threads == 1 else None,
        n_jobs=threads,
    )
    return layout.fit_transform(X)


def evoc(X, n_clusters, seed, threads):
    """Embedding vector oriented clustering."""
    fewer = {"node_embedding_dim": X.shape[1]} if X.shape[1] < EVOC_FEATURES else {}
    made = importlib.import_module("evoc").EVoC(
        approx_n_clusters=n_clusters, random_state=seed, **fewer
    )
    return made.fit_predict(X)


def clustpy_vade(X, n_clusters, seed, threads):
    """VaDE of ClustPy."""
    made = importlib.import_module("clustpy.deep").VaDE(n_clusters, random_state=seed)
    return made.fit_predict(minmax_scale(X).clip(0, 1))  # rounding


def clustpy_dec(X, n_clusters, seed, threads):
    """DEC of ClustPy."""
    made = importlib.import_module("clustpy.deep").DEC(n_clusters, random_state=seed)
    return made.fit_predict(minmax_scale(X).clip(0, 1))  # rounding


def neighbor_clustering(X, n_clusters, seed, threads):
    """NeighborClustering of this package."""
    settings = {"accept_sparse": True, "random_state": seed, "n_jobs": threads}
    return skdeepcluster.NeighborClustering(n_clusters, **settings).fit_predict(X)


def start(X, n_clusters, seed, threads):
    """Start of the networks of this package."""
    found = find_partition(X, n_clusters, random_state=seed, n_jobs=threads)
    return found.extend(X)[0].argmax(1)


def network(name, X, n_clusters, seed, threads, **settings):
    """Fit a network of this package by its defaults, but for some settings."""
    return getattr(skdeepcluster, name)(n_clusters, random_state=seed, **settings).fit(X)


def augmented_network(name, X, n_clusters, seed, threads):
    """Fit a network of this package to square images that training turns, scales and shifts."""
    side = math.isqrt(X.shape[1])
    return network(name, X, n_clusters, seed, threads, augment=RandomAffine((1, side, side)))


def network_from_catgan(name, X, n_clusters, seed, threads):
    """Fit a network of this package from the clusters of CatGANClustering."""
    labels = network("CatGANClustering", X, n_clusters, seed, threads).labels_
    return network(name, X, n_clusters, seed, threads, init=labels)


OURS = ("scikit-learn", "torch")
AUGMENTED, FROM_CATGAN = " augmented", " from CatGAN"
COMPILED = ("scikit-learn", "numba")
UMAP = {
    "needs": "umap",
    "packages": (*COMPILED, "umap-learn", "pynndescent"),
    "is_dense": True,
    "is_compiled": True,
}
METHODS = {
    "KMeans": Method(kmeans),
    "GaussianMixture": Method(gaussian_mixture, is_dense=True),
    "Ward": Method(ward, most_rows=MOST_ROWS, is_dense=True, is_random=False),
    "SpectralClustering": Method(spectral, most_rows=MOST_ROWS),
    "HDBSCAN": Method(hdbscan, is_random=False),
    "umap-learn + GMM": Method(umap_mixture, **UMAP),
    "umap-learn + HDBSCAN": Method(umap_hdbscan, **UMAP),
    "EVoC": Method(
        evoc, needs="evoc", packages=(*COMPILED, "evoc"), is_dense=True, is_compiled=True
    ),
    **{
        f"ClustPy {name}": Method(
            fit, needs="clustpy", packages=("scikit-learn", "torch", "clustpy"), is_dense=True
        )
        for name, fit in (("VaDE", clustpy_vade), ("DEC", clustpy_dec))
    },
    "NeighborClustering": Method(neighbor_clustering, packages=OURS),
    "start": Method(start, packages=OURS),
    "GaussianMixtureEM": Method(gaussian_mixture_em, packages=OURS, is_dense=True),
    **{
        name: Method(partial(network, name), packages=(*OURS, "skorch"), is_dense=True)
        for name in NETWORKS
    },
    **{
        f"{name}{FROM_CATGAN}": Method(
            partial(network_from_catgan, name), packages=(*OURS, "skorch"), is_dense=True
        )
        for name in NETWORKS
        if name not in ("CatGANClustering", "VAEEmbedding")  # whose init is no partition
    },
    **{
        f"{name}{AUGMENTED}": Method(
            partial(augmented_network, name),
            packages=(*OURS, "skorch"),
            is_dense=True,
            needs_images=True,
        )
        for name in NETWORKS
    },
}
ALIASES = {
    "gmm": "GaussianMixture",
    "spectral": "SpectralClustering",
    "umap": "umap-learn + GMM",
    "umap-learn": "umap-learn + GMM",
}


def is_network(method):
    """Return whether a method is a network of this package, augmented or not, from any start."""
    return method.removesuffix(AUGMENTED).removesuffix(FROM_CATGAN) in NETWORKS


def parse_clusterers(asked):
    """Names of `METHODS`, in any case and by their short names; all if None."""
    if asked is None:
        return list(METHODS)
    known = {name.lower(): name for name in METHODS} | ALIASES
    parts = [part.strip().lower() for text in asked for part in text.split(",")]
    unknown = [part for part in parts if part and part not in known]
    if unknown:
        names = ", ".join([*METHODS, *ALIASES])
        raise ValueError(f"--methods: {', '.join(unknown)} not among {names}.")
    return list(dict.fromkeys(known[part] for part in parts if part))


def installed(methods):
    """Return the methods that can be imported; print a line for each rival that cannot."""
    missing = [method for method in methods if not _can_be_imported(METHODS[method].needs)]
    for method in missing:
        print(f'{method}: skipped, not installed: pip install -e ".[rivals]"')
    return [method for method in methods if method not in missing]


def _can_be_imported(module):
    return not module or find_spec(module) is not None


def versions(method):
    """Versions of what the method stands on."""
    found = {name: version(name) for name in METHODS[method].packages}
    return {"skdeepcluster": skdeepcluster.__version__, "numpy": np.__version__, **found}


def fitted(method, X, n_clusters, seed, threads):
    """Fit a method quietly; return its labels, or a network's estimator."""
    chosen = METHODS[method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return chosen.fit(as_needed(method, X), n_clusters, seed, threads)


def as_needed(method, X):
    """Return the rows, dense if the method needs them so."""
    return X.toarray() if METHODS[method].is_dense and issparse(X) else X


def warm(method, X, threads):
    """Fit drawn rows of the type of X, so that imports and compilations are not timed."""
    for n_rows in WARM_ROWS[METHODS[method].is_compiled]:
        n_features = min(X.shape[1], 2 * MOST_FEATURES)
        drawn, _ = make_blobs(n_rows, n_features, centers=5, random_state=0)
        drawn = drawn.astype(X.dtype)
        if issparse(X):
            drawn = csr_array(np.where(drawn > 0, drawn, 0).astype(X.dtype))
        fitted(method, drawn, 5, 0, threads)


def warm_once(method, X, threads, done):
    """Warm a method up, unless the set `done` says that it is for this type of rows."""
    # Up to MOST_FEATURES features, methods take another path than above.
    kind = method, issparse(X), X.dtype, X.shape[1] > MOST_FEATURES, threads
    if kind not in done:
        warm(method, X, threads)
        done.add(kind)


class Peak:
    """The most resident memory within a block, above that before it, in MB; None if not known."""

    def __enter__(self):
        self.memory = None
        try:
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew from VmRSS
            self.before = self._read("VmRSS")
        except OSError:
            self.before = None
        return self

    def __exit__(self, *error):
        if self.before is not None:
            self.memory = round(self._read("VmHWM") - self.before)

    @staticmethod
    def _read(name):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise OSError(f"/proc/self/status has no {name}")


def measured(method, data, seed, threads, done):
    """Fit a method, warmed up, and judge it; return what is recorded, or the error it raised.

    "cpu_seconds" are of the processor, of all threads together: with one thread other work on the
    machine hardly changes them.
    """
    try:
        warm_once(method, data.X, threads, done)
        with Peak() as peak:
            started = time.perf_counter(), time.process_time()
            found = fitted(method, data.X, data.n_clusters, seed, threads)
            ended = time.perf_counter(), time.process_time()
    except Exception as error:  # a rival may raise anything, and the others go on
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    labels = np.asarray(getattr(found, "labels_", found))
    seconds, cpu_seconds = (round(b - a, 3) for a, b in zip(started, ended, strict=True))
    record = {
        **judged(data.y, labels),
        "found": len(np.unique(labels[labels >= 0])),
        "noise": float(np.mean(labels < 0)),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "memory": peak.memory,
    }
    if is_network(method):
        record |= beside_start(found, as_needed(method, data.X), data.y, seed)
    return record


def beside_start(fit, X, y, seed):
    """Judge the start of a fit, a control trained on it, and the probabilities of the fit."""
    right = match_labels(y, fit.labels_) == y
    judgements = {"start": judged(y, fit.start_labels_)}
    if len(X) <= MOST_CONTROLLED:
        judgements["control"] = judged(y, predict_by_plain_classifier(fit, X, seed))
    return {
        **{f"{name}_{key}": of[key] for name, of in judgements.items() for key in ("acc", "ari")},
        "moved": fit.moved_,
        "ece": expected_calibration_error(right, fit.probabilities_.astype(float)),
    }

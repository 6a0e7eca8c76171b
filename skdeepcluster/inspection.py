"""What clusters consist of: medoids, typical and doubtful samples, features that set them apart.

`find_medoids` and `compare_features` take samples and labels. `ClusterReport` takes any fitted
clusterer and adds what its predictions tell, as a text and as a page of HTML.
"""

import base64
import html
import os
from functools import cached_property
from importlib import resources
from io import BytesIO
from numbers import Integral
from pathlib import Path
from string import Template
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.inspection import permutation_importance
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_array, check_consistent_length, check_scalar
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import _num_features, _num_samples, check_is_fitted

from ._responsibilities import cluster_means, indicate
from ._validation import check_cluster_numbers
from .display.base import import_matplotlib, name_features, predict_rows, take_last_step
from .display.samples import find_white, make_mosaic
from .engine.runtime import draw_seed, random_stream
from .neighbors.search import has_distances
from .stability import cluster_stability

__all__ = ["ClusterReport", "compare_features", "find_medoids"]

#: Maximum number of samples of a cluster over which distances to its medoid are averaged.
MEDOID_SAMPLES = 2000
#: Maximum number of samples whose features are permuted.
IMPORTANCE_SAMPLES = 1000
#: Maximum standard deviation of a constant feature, from rounding, as a share of its mean.
ROUNDING = 1e-14
#: Margin from which a sample is not listed as near a border.
SURE = 0.995
#: Title of the picture of standardized differences.
DIFFERENCE = "difference to other samples (red: greater, blue: less)"
#: Maximum number of features whose importance is listed.
MAX_IMPORTANT = 10
#: Maximum length of the name of a sample, and of a line of text.
MAX_NAME, MAX_LINE = 60, 80


def find_medoids(X, labels, *, random_state=None) -> npt.NDArray[np.intp]:
    """Find the medoid of each cluster: the sample with the least mean distance to the others [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their codes. Distances are Euclidean.
    labels : array-like of shape (n_samples,)
        Clusters from 0 on; negative for noise.
    random_state : int, RandomState instance or None, default=None
        Draws 2,000 samples of each larger cluster, to which distances are measured.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positions of the medoids in X; -1 for an empty cluster.

    See Also
    --------
    ClusterReport : Also finds the samples of each cluster with the greatest probability.

    References
    ----------
    .. [1] L. Kaufman, P. J. Rousseeuw, "Finding Groups in Data", Wiley 1990, chapter 2.

    Examples
    --------
    >>> from skdeepcluster.inspection import find_medoids
    >>> find_medoids([[0.0], [1.0], [3.0], [9.0], [9.5]], [0, 0, 0, 1, -1])
    array([1, 3])
    """
    X, labels = _check_samples(X, labels)
    return _find_medoids(X, labels, labels.max(initial=-1) + 1, random_state)


def compare_features(X, labels, *, feature_names=None, n_features: int | None = 5) -> list[Bunch]:
    """Find the features that set each cluster apart, by standardized mean differences [1]_.

    The difference is the mean in the cluster minus the mean in all other samples, noise included,
    in standard deviations of the feature. Times sqrt(p (1 - p)), with the share p of the samples
    in the cluster, it is the correlation of the feature with membership.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    labels : array-like of shape (n_samples,)
        Clusters from 0 on; negative for noise.
    feature_names : array-like of shape (n_features,), default=None
        Names; None takes the columns of a DataFrame, or "x0", "x1" and so on.
    n_features : int, default=5
        Number of features of each cluster; None means all.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first. They are empty for a cluster of no samples or all. For sparse X,
        such as counts of words, they have only features with a greater mean in the cluster.

    See Also
    --------
    ClusterReport : Also finds features without which samples would be in other clusters.

    References
    ----------
    .. [1] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988,
       chapter 2 (with standard deviations within groups, which gives the same order).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.inspection import compare_features
    >>> iris = load_iris()
    >>> setosa = compare_features(iris.data, iris.target, feature_names=iris.feature_names)[0]
    >>> print(setosa.names[0], setosa.means[0].round(2), setosa.other_means[0].round(2))
    petal length (cm) 1.46 4.91
    """
    if n_features is not None:
        check_scalar(n_features, "n_features", Integral, min_val=1)
    names = _name_features(X, feature_names)
    X, labels = _check_samples(X, labels)
    return _compare(X, labels, labels.max(initial=-1) + 1, names, n_features)[1]


class ClusterReport(Bunch):
    """Summary of each cluster: arrays, a text, and a page of HTML.

    `from_estimator` makes it. ``print(report)`` writes the text, and notebooks show the page.

    Attributes
    ----------
    name : str
        Class of the estimator.
    clusters : ndarray of shape (n_clusters,)
        Numbers of the clusters, or classes of a classifier.
    labels : ndarray of shape (n_samples,)
        Position in ``clusters`` of the cluster of each sample, -1 for noise.
    sizes : ndarray of shape (n_clusters,)
        Numbers of samples.
    probabilities : ndarray of shape (n_clusters,) or None
        Mean probability of each cluster over its samples.
    stability : ndarray of shape (n_clusters,) or None
        See :func:`~skdeepcluster.stability.cluster_stability`.
    medoids : ndarray of shape (n_clusters,)
        See `find_medoids`.
    typical_rows : list of ndarray
        Positions of the most typical samples of each cluster: those with the greatest probability,
        to two decimals, and among equal ones the least distance to the mean of the cluster.
    runner_up : ndarray of shape (n_samples,)
        The most probable other cluster of each sample; -1 if there is none.
    margin : ndarray of shape (n_samples,)
        Probability of the cluster minus probability of the runner-up. Without ``predict_proba``
        it is the simplified silhouette (b - a) / max(a, b) [1]_, with the distances a to the mean
        of the cluster and b to the nearest other mean.
    border_rows : list of ndarray
        Positions of the samples of each cluster with the least margins.
    features : list of Bunch
        See `compare_features`; empty for an estimator of precomputed distances.
    importance : ndarray of shape (n_features,) or None
        Share of samples that change their cluster if a feature is permuted [2]_. Correlated
        features may all have small shares.
    feature_names : ndarray of shape (n_features,)
    row_names : ndarray of shape (n_samples,) or None
    pictures : list of dict
        PNG images of each cluster as bytes, by their titles; empty without ``images``.

    See Also
    --------
    skdeepcluster.display.SamplesDisplay : Samples of all clusters in one picture.

    References
    ----------
    .. [1] E. R. Hruschka, L. N. de Castro, R. J. G. B. Campello, "Evolutionary algorithms for
       clustering gene-expression data", ICDM 2004.
    .. [2] L. Breiman, "Random Forests", Machine Learning 45, 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.inspection import ClusterReport
    >>> iris = load_iris()
    >>> fit = GaussianMixtureEM(3, random_state=0).fit(iris.data)
    >>> report = ClusterReport.from_estimator(fit, iris.data, feature_names=iris.feature_names)
    >>> print(report.to_text().splitlines()[0])
    GaussianMixtureEM: 150 samples in 3 clusters
    >>> page = report.to_html()  # to_html("clusters.html") also writes a file
    """

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        feature_names=None,
        row_names=None,
        images: tuple[int, ...] | None = None,
        n_rows: int = 5,
        n_features: int = 5,
        stability: bool = False,
        importance: bool = False,
        random_state=None,
    ) -> Self:
        """Describe the clusters that a fitted estimator finds in X.

        Parameters
        ----------
        estimator : fitted clusterer
            Of this package or of scikit-learn.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; the samples of the fit for a clusterer without ``predict`` (DBSCAN).
        feature_names : array-like of shape (n_features,), default=None
            Names; None takes the names in X or in the fit, or "x0", "x1" and so on.
        row_names : array-like of shape (n_samples,), default=None
            Names of the samples, shown instead of their positions.
        images : tuple of int, default=None
            Shape of the image that a sample is: (height, width), (channels, height, width) or
            (height, width, channels). None draws no pictures.
        n_rows, n_features : int, default=5
            Number of typical and of doubtful samples of each cluster, and of features.
        stability : bool, default=False
            Whether to fit the estimator to ten samples of X for the stability of the clusters.
            A ``cluster_stability_`` known from the fit is always shown.
        importance : bool, default=False
            Whether to measure the importance of each feature, by ``predict`` and for dense X.
        random_state : int, RandomState instance or None, default=None
            Random state of the medoids, the stability and the importance.

        Returns
        -------
        report : ClusterReport
        """
        for name, count in (("n_rows", n_rows), ("n_features", n_features)):
            check_scalar(count, name, Integral, min_val=1)
        found, seed = _Assignment(estimator, X), draw_seed(random_stream(random_state))
        names = _name_features(X, feature_names, getattr(estimator, "feature_names_in_", None))
        if row_names is not None:
            check_consistent_length(X, row_names)
        values, labels = _check_samples(X, found.labels)
        differences, features = _compare(values, labels, found.n_clusters, names, n_features)
        runner_up, margin = found.find_runner_up()
        report = cls(
            name=take_last_step(estimator)[1],
            clusters=getattr(estimator, "classes_", np.arange(found.n_clusters)),
            labels=labels,
            sizes=np.bincount(labels[labels >= 0], minlength=found.n_clusters),
            probabilities=found.average_probabilities(),
            stability=_find_stability(estimator, X, found, seed, stability),
            medoids=_find_medoids(found.codes, labels, found.n_clusters, seed),
            typical_rows=found.rank_typical(n_rows),
            border_rows=found.divide(margin.argsort(kind="stable"), n_rows),
            runner_up=runner_up,
            margin=margin,
            features=[] if has_distances(estimator) else features,
            importance=None,
            feature_names=names,
            row_names=None if row_names is None else np.asarray(row_names),
            pictures=[],
        )
        if importance:
            report.importance = _measure_importance(estimator, X, seed)
        if images is not None:
            report.pictures = report._draw(values, differences, images)
        return report

    def __repr__(self):
        return f"<ClusterReport of {self._title()}>"

    def __str__(self):
        return self.to_text()

    def to_text(self) -> str:
        """Return the summary as a text, with a paragraph for each cluster."""
        clusters = range(len(self.clusters))
        paragraphs = [[self._name_cluster(k), *self._describe(k)] for k in clusters]
        first = list(filter(None, [self._title(), self._list_importance()]))
        return "\n\n".join(map("\n".join, [first, *paragraphs]))

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the summary as a page of HTML with its pictures, and write it to a path."""
        importance, clusters = self._list_importance(), []
        for k in range(len(self.clusters)):
            title, text = self._name_cluster(k), "\n".join(self._describe(k))
            pictures = self.pictures[k] if self.pictures else {}
            figures = [
                _fill("figure", {"png": base64.b64encode(png).decode()}, caption=name, title=title)
                for name, png in pictures.items()
            ]
            clusters.append(
                _fill("cluster", {"figures": "".join(figures)}, title=title, text=text)
            )
        parts = {"clusters": "".join(clusters)}
        page = _fill("report", parts, title=self._title(), importance=importance)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def _repr_html_(self):
        return self.to_html()

    def _title(self):
        n_noise = np.count_nonzero(self.labels < 0)
        noise = f", {n_noise:,} of them noise" if n_noise else ""
        return f"{self.name}: {len(self.labels):,} samples in {len(self.clusters)} clusters{noise}"

    def _list_importance(self):
        """Return a line about the most important features, empty if they are unknown."""
        if self.importance is None:
            return ""
        order = np.argsort(-self.importance, kind="stable")[:MAX_IMPORTANT]
        shares = [f"{self.feature_names[i]} {self.importance[i]:.0%}" for i in order]
        return "samples that change their cluster if a feature is permuted: " + "; ".join(shares)

    def _name_cluster(self, k):
        share = self.sizes[k] / len(self.labels)
        name = f"cluster {self.clusters[k]}: {self.sizes[k]:,} samples ({share:.1%})"
        for title, values in (("stability", "stability"), ("mean probability", "probabilities")):
            if self[values] is not None and self.sizes[k]:
                name += f", {title} {self[values][k]:.2f}"
        return name

    def _describe(self, k):
        """Return lines about the samples and the features of a cluster."""
        if not self.sizes[k]:
            return []
        facts = {
            "medoid": [self._name_sample(self.medoids[k])],
            "typical samples": [self._name_sample(row) for row in self.typical_rows[k]],
        }
        others = self.runner_up[self.labels == k]
        if others.max() >= 0:
            others = np.bincount(others)
            usual = self.clusters[others.argmax()]
            facts["usual runner-up"] = [f"cluster {usual}, of {others.max():,} samples"]
            facts["nearest to a border"] = [
                f"{self._name_sample(row)} (to {self.clusters[self.runner_up[row]]}, "
                f"margin {self.margin[row]:.2f})"
                for row in self.border_rows[k]
                if self.margin[row] < SURE
            ]
        if self.features:
            facts["set apart by"] = [
                f"{name}: {mean:.3g}, elsewhere {other:.3g} ({difference:+.2f} SD)"
                for name, difference, mean, other in zip(*self.features[k].values(), strict=True)
            ]
        lines = []
        for title, items in facts.items():
            is_short = sum(map(len, items)) <= MAX_LINE
            listed = " " + "; ".join(items) if is_short else "\n    ".join(["", *items])
            lines += [f"  {title}:{listed}"] if items else []
        return lines

    def _name_sample(self, row):
        return str(row if self.row_names is None else self.row_names[row])[:MAX_NAME]

    def _draw(self, values, differences, images):
        """Return the pictures of each cluster that has samples."""
        values = values / (find_white(values) if np.size(images) == 3 else 1)
        ends = {"cmap": "gray_r", "vmin": values.min(), "vmax": values.max()}
        largest = np.abs(differences).max()
        scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        pictures = []
        for k in range(len(self.clusters)):
            shown = {
                "medoid": self.medoids[[k]],
                "typical samples": self.typical_rows[k],
                "nearest to a border": self.border_rows[k],
            }
            pictures.append({})
            if self.sizes[k]:
                drawn = {
                    title: _to_png(values[rows], images, ends) for title, rows in shown.items()
                }
                pictures[k].update(drawn)
            if self.sizes[k] and len(images) == 2:
                pictures[k][DIFFERENCE] = _to_png(differences[[k]], images, scale)
        return pictures


class _Assignment:
    """Assignment of samples to clusters by a fitted estimator.

    ``labels`` (N,) are -1 for noise; ``resp`` (N, K) is None without ``predict_proba``.
    """

    def __init__(self, estimator, X):
        check_is_fitted(estimator)
        self.estimator, self.X = estimator, X
        self.labels, self.resp = _assign(estimator, X), None
        n_centers = np.shape(getattr(estimator, "cluster_centers_", ()))[0]
        self.n_clusters = max(int(self.labels.max(initial=-1)) + 1, n_centers)
        if hasattr(estimator, "predict_proba"):
            self.resp = np.asarray(estimator.predict_proba(X), dtype=np.float64)
            self.n_clusters = self.resp.shape[1]
        if not self.n_clusters:
            raise ValueError(f"{type(estimator).__name__} finds noise only, but no cluster.")

    @cached_property
    def codes(self):
        """Codes, or comparable samples, between which distances are measured, dense or CSR.

        Without ``predict_proba`` they are X, as ``transform`` of KMeans returns distances.
        """
        codes = self.X
        if self.resp is not None and hasattr(self.estimator, "transform"):
            codes = self.estimator.transform(codes)
        elif self.resp is not None and not sparse.issparse(codes):
            codes = StandardScaler().fit_transform(codes)
        return check_array(codes, accept_sparse="csr", dtype=np.float64)

    @cached_property
    def distances(self):
        """Distances (N, K) of the codes to the means of clusters, inf for empty ones."""
        member = indicate(self.labels, self.n_clusters).toarray()
        means = cluster_means(member, self.codes)
        return np.where(member.any(0), euclidean_distances(self.codes, means), np.inf)

    def average_probabilities(self):
        """Return the mean probability of each cluster over its samples, (K,), or None."""
        if self.resp is None:
            return None
        member = indicate(self.labels, self.n_clusters).toarray()
        return cluster_means(member, self.resp).diagonal().copy()

    def find_runner_up(self):
        """Return runners-up and margins, (N,) each."""
        closeness = -self.distances if self.resp is None else self.resp.copy()
        rows = np.arange(len(self.labels))
        own = np.where(self.labels < 0, closeness.argmax(1), self.labels)
        best = closeness[rows, own]
        closeness[rows, own] = -np.inf
        runner_up = closeness.argmax(1)
        second = closeness[rows, runner_up]
        if self.resp is None:
            near, far = np.minimum(-best, -second), np.maximum(-best, -second)
            margin = np.sign(best - second) * (1 - near / np.maximum(far, np.finfo(float).tiny))
        else:
            margin = best - np.maximum(second, 0)
        return np.where(np.isinf(second), -1, runner_up), margin

    def rank_typical(self, n_rows):
        """Return the most typical samples of each cluster."""
        own = np.maximum(self.labels, 0)[:, None]
        distance = np.take_along_axis(self.distances, own, 1)[:, 0]
        doubt = np.zeros(len(own))
        if self.resp is not None:
            doubt = -np.take_along_axis(self.resp, own, 1)[:, 0].round(2)
        return self.divide(np.lexsort((distance, doubt)), n_rows)

    def divide(self, order, n_rows):
        """Return the first ``n_rows`` samples of each cluster in an order of all samples."""
        owners = self.labels[order]
        return [order[owners == k][:n_rows] for k in range(self.n_clusters)]


def _assign(estimator, X):
    """Return the cluster of each sample, or position of its class, (N,), -1 for noise."""
    labels = predict_rows(estimator, X)
    if hasattr(estimator, "classes_"):
        labels = np.searchsorted(estimator.classes_, labels)
    return np.maximum(labels, -1)


def _check_samples(X, labels):
    """Return X as float64, dense or CSR, and the labels, checked."""
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    return X, check_cluster_numbers(labels, X.shape[0])


def _name_features(X, *names):
    """Return the given names of the features, the columns of X, or "x0", "x1" and so on, (D,)."""
    given, *rest = names
    n_features = _num_features(X)
    numbered = [f"x{i}" for i in range(n_features)]
    return np.array(name_features(n_features, given, getattr(X, "columns", None), *rest, numbered))


def _find_medoids(X, labels, n_clusters, random_state):
    """Return the medoids (K,) of checked samples."""
    stream, medoids = random_stream(random_state), np.full(n_clusters, -1)
    for k in range(n_clusters):
        rows = np.flatnonzero(labels == k)
        if len(rows):
            few = len(rows) <= MEDOID_SAMPLES
            others = rows if few else stream.choice(rows, MEDOID_SAMPLES, False)
            average = {"reduce_func": lambda distances, start: distances.mean(1)}
            distances = pairwise_distances_chunked(X[rows], X[others], **average)
            medoids[k] = rows[np.concatenate(list(distances)).argmin()]
    return medoids


def _compare(X, labels, n_clusters, names, n_features):
    """Return the standardized differences (K, D), and the first features of each cluster."""
    member = indicate(labels, n_clusters).toarray()
    means, others = cluster_means(member, X), cluster_means(1 - member, X)
    is_sparse = sparse.issparse(X)
    center, variance = mean_variance_axis(X, 0) if is_sparse else (X.mean(0), X.var(0))
    deviation = np.sqrt(variance)
    known = np.outer(member.any(0) & ~member.all(0), deviation > ROUNDING * np.abs(center))
    differences = np.zeros(means.shape)
    np.divide(means - others, deviation, out=differences, where=known)
    features = []
    for difference, mean, other in zip(differences, means, others, strict=True):
        strength = difference if is_sparse else np.abs(difference)
        order = np.argsort(-strength, kind="stable")[:n_features]
        order = order[strength[order] > 0]
        shown = {"names": names, "differences": difference, "means": mean, "other_means": other}
        features.append(Bunch(**{key: values[order] for key, values in shown.items()}))
    return differences, features


def _find_stability(estimator, X, found, seed, is_wanted):
    """Return the stability of each cluster, (K,), if it is wanted or known, else None."""
    if hasattr(estimator, "cluster_stability_"):
        return estimator.cluster_stability_
    if not is_wanted:
        return None
    if hasattr(estimator, "cluster_stability"):
        return estimator.cluster_stability()
    stability = cluster_stability(estimator, X, found.labels, random_state=seed)
    return np.pad(stability, (0, found.n_clusters - len(stability)))


def _measure_importance(estimator, X, seed):
    """Return the share of samples that change their cluster if a feature is permuted, (D,)."""
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise ValueError(f"{name} has no predict: set importance=False.")
    if sparse.issparse(X) or has_distances(estimator):
        raise ValueError("importance=True needs dense X with features to permute.")
    return permutation_importance(
        estimator,
        X,
        estimator.predict(X),
        scoring=lambda fit, X, labels: np.mean(fit.predict(X) == labels),
        max_samples=min(IMPORTANCE_SAMPLES, _num_samples(X)),
        random_state=seed,
    ).importances_mean


def _to_png(rows, images, style):
    """Return samples as a PNG of images side by side."""
    rows, file = rows.toarray() if sparse.issparse(rows) else rows, BytesIO()
    picture, _ = make_mosaic(rows, images, [np.arange(len(rows))])
    import_matplotlib("image").imsave(file, picture, format="png", **style)
    return file.getvalue()


def _fill(name, parts, **texts):
    """Return a template of this package, filled with parts of HTML and with texts."""
    template = resources.files(__package__).joinpath(f"templates/{name}.html").read_text("utf-8")
    escaped = {key: html.escape(text) for key, text in texts.items()}
    return Template(template).substitute(parts, **escaped)

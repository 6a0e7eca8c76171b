"""Descriptions of clusters: medoids, typical and doubtful samples, features that differ.

`find_medoids` and `compare_features` take samples and labels. `ClusterReport` describes any
fitted clusterer, as a text and as a page of HTML.
"""

import os
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_array, check_consistent_length
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import _num_features, check_is_fitted

from ._labels import check_labels, cluster_means, indicate, predict_samples
from ._random import random_stream
from .display.base import COLORS, import_matplotlib, name_features, take_last_step
from .display.embedding import find_samples
from .display.samples import find_white, make_mosaic
from .neighbors import neighbor_graph, neighbor_layout
from .neighbors.search import has_distances

__all__ = ["ClusterReport", "compare_features", "find_medoids"]

#: Maximum number of samples over which the distances to a medoid are averaged.
MEDOID_SAMPLES = 2000
#: Maximum standard deviation of a constant feature, from rounding, as a share of its mean.
ROUNDING = 1e-14
#: Minimum margin of samples that are not listed as near a border.
SURE = 0.995
#: Maximum length of a line of text.
MAX_LINE = 80
#: Titles of the pictures of a cluster.
PICTURES = "medoid", "typical samples", "nearest to a border"
#: Maximum number of samples in the map of a page.
MAX_MAP = 1000
#: Between the name of a column and a category, in the name of a share.
SHARE = " = "
#: Number of features that name a cluster, and their minimum difference in standard deviations.
N_TRAITS = 2
LARGE = 0.5


def find_medoids(X, labels, *, random_state=None) -> npt.NDArray[np.intp]:
    """Find the medoid of each cluster, the sample with the least mean distance to the others [1]_.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples, or their codes. Distances are Euclidean.
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    random_state : int, RandomState instance or None, default=None
        Determines the 2,000 samples of each larger cluster to which distances are measured.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positions of the medoids in X; -1 for an empty cluster.

    See Also
    --------
    ClusterReport : Also lists typical and doubtful samples.

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
    stream, medoids = (
        random_stream(random_state),
        np.full(labels.max(initial=-1) + 1, -1),
    )
    average = {"reduce_func": lambda distances, start: distances.mean(1)}
    for k in np.unique(labels[labels >= 0]):
        rows = others = np.flatnonzero(labels == k)
        if len(rows) > MEDOID_SAMPLES:
            others = stream.choice(rows, MEDOID_SAMPLES, False)
        means = pairwise_distances_chunked(X[rows], X[others], **average)
        medoids[k] = rows[np.concatenate(list(means)).argmin()]
    return medoids


def compare_features(
    X, labels, *, feature_names=None, n_features: int | None = 5
) -> list[Bunch]:
    """Find the features that set each cluster apart, by standardized mean differences [1]_.

    The difference is the mean in the cluster minus the mean in all other samples, noise included,
    in standard deviations of the feature.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    labels : array-like of shape (n_samples,)
        Clusters from 0 on, -1 for noise.
    feature_names : array-like of shape (n_features,), default=None
        Names; None means the columns of a DataFrame, or "x0", "x1" and so on.
    n_features : int, default=5
        Number of features of each cluster; None means all.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first. For sparse X, such as counts of words, they have only features
        with a greater mean in the cluster.

    See Also
    --------
    ClusterReport : Also describes the samples of each cluster.

    References
    ----------
    .. [1] J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988,
       chapter 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.inspection import compare_features
    >>> iris = load_iris()
    >>> setosa = compare_features(iris.data, iris.target, feature_names=iris.feature_names)[0]
    >>> print(setosa.names[0], setosa.means[0].round(2), setosa.other_means[0].round(2))
    petal length (cm) 1.46 4.91
    """
    X = _count_categories(X)
    names = _name_features(X, feature_names)
    X, labels = _check_samples(X, labels)
    member = indicate(labels, labels.max(initial=-1) + 1).toarray()
    return _compare(X, member, names, n_features)


class ClusterReport(Bunch):
    """Summary of each cluster, made by `from_estimator`.

    ``print(report)`` writes a text, and notebooks show a page of HTML.

    Attributes
    ----------
    name : str
        Class of the estimator.
    clusters : ndarray of shape (n_clusters,)
        Numbers of the clusters, or their names in ``classes_``.
    samples, metric : {ndarray, sparse matrix} of shape (n_samples, n_columns), str or callable
        Samples as the clusterer gets them, or their codes, and the metric of the map of a page.
    labels : ndarray of shape (n_samples,)
        Position in ``clusters`` of the cluster of each sample, -1 for noise.
    sizes, medoids : ndarray of shape (n_clusters,)
        Numbers of samples, and positions of the medoids.
    probabilities : ndarray of shape (n_clusters,) or None
        Mean probability of each cluster over its samples.
    stability : ndarray of shape (n_clusters,) or None
        The ``cluster_stability_`` of the estimator; it may be assigned.
    typical_rows : list of ndarray
        Positions of the samples of each cluster with the greatest probability, to two decimals.
        Among ties, those nearest to the mean of the cluster come first.
    runner_up : ndarray of shape (n_samples,)
        The most probable other cluster of each sample; -1 if there is none.
    margin : ndarray of shape (n_samples,)
        Probability of the cluster minus probability of the runner-up. Without ``predict_proba``
        the simplified silhouette, (b - a) / max(a, b), with the distances a to the mean of the
        cluster and b to the nearest other mean [1]_.
    border_rows : list of ndarray
        Positions of the samples of each cluster with the least margins.
    features : list of Bunch
        See `compare_features`; empty for precomputed distances.
    feature_names, row_names : ndarray
        Names of the features and of the samples, or None.
    pictures : list of dict
        PNG images of each cluster as bytes, by their titles; empty without ``images``.

    See Also
    --------
    skdeepcluster.display.SamplesDisplay : Samples of all clusters in one picture.

    References
    ----------
    .. [1] E. R. Hruschka, L. N. de Castro, R. J. G. B. Campello, "Evolutionary algorithms for
       clustering gene-expression data", ICDM 2004.

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
    >>> page = report.to_html()
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
        random_state=None,
    ) -> Self:
        """Describe the clusters that a fitted estimator finds in X.

        Parameters
        ----------
        estimator : fitted clusterer of this package or of scikit-learn
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; the samples of the fit for a clusterer without ``predict`` (DBSCAN). With a
            Pipeline, the table that it takes: features are reported in its units, categories of
            a DataFrame as shares ("site = north"), and missing values are left out.
        feature_names : array-like of shape (n_features,), default=None
            Names; None means those in X or in the fit, or "x0", "x1" and so on.
        row_names : array-like of shape (n_samples,), default=None
            Names of the samples, shown instead of their positions.
        images : tuple of int, default=None
            The ``image_shape`` of `skdeepcluster.display.SamplesDisplay`; None draws none.
        n_rows, n_features : int, default=5
            Number of typical and of doubtful samples of each cluster, and of features.
        random_state : int, RandomState instance or None, default=None
            See `find_medoids`.
        """
        labels, resp, n_clusters = _assign(estimator, X)
        check_consistent_length(X, row_names)
        table = _count_categories(X)
        fitted_names = (
            getattr(estimator, "feature_names_in_", None) if table is X else None
        )
        names = _name_features(table, feature_names, fitted_names)
        values, labels = _check_samples(table, labels)
        member = indicate(labels, n_clusters).toarray()
        codes = _find_codes(estimator, X, values, resp)
        distances = euclidean_distances(codes, cluster_means(member, codes))
        distances[:, ~member.any(0)] = np.inf
        runner_up, margin = _find_runner_up(labels, resp, distances)
        features = _compare(values, member, names, n_features)
        seen = codes, "euclidean"
        if not has_distances(estimator):
            seen = find_samples(estimator, X, codes)
        medoids = find_medoids(codes, labels, random_state=random_state)
        report = cls(
            name=take_last_step(estimator)[1],
            clusters=_name_clusters(estimator, n_clusters),
            samples=seen[0],
            metric=seen[1],
            labels=labels,
            sizes=member.sum(0).astype(int),
            probabilities=None
            if resp is None
            else cluster_means(member, resp).diagonal().copy(),
            stability=getattr(estimator, "cluster_stability_", None),
            medoids=np.pad(medoids, (0, n_clusters - len(medoids)), constant_values=-1),
            typical_rows=_pick(
                _rank_typical(labels, resp, distances), labels, n_clusters, n_rows
            ),
            border_rows=_pick(
                margin.argsort(kind="stable"), labels, n_clusters, n_rows
            ),
            runner_up=runner_up,
            margin=margin,
            features=[] if has_distances(estimator) else features,
            feature_names=names,
            row_names=None if row_names is None else np.asarray(row_names),
            pictures=[],
        )
        if images is not None:
            report.pictures = report._draw(values, images)
        return report

    def __repr__(self):
        return f"<ClusterReport of {self._title()}>"

    def to_text(self) -> str:
        """Return the summary as a text, with a paragraph for each cluster."""
        text = self._title()
        for k in range(len(self.clusters)):
            text += f"\n\n{self._name_cluster(k)}"
            for title, items in self._describe(k).items():
                is_short = sum(map(len, items)) <= MAX_LINE
                listed = (
                    " " + "; ".join(items) if is_short else "\n    ".join(["", *items])
                )
                text += f"\n  {title}:{listed}" if items else ""
        return text

    __str__ = to_text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the summary as a page of HTML with its pictures, and write it to a path."""
        from jinja2 import Environment, PackageLoader

        pages = Environment(
            loader=PackageLoader(__package__), autoescape=True, trim_blocks=True
        )
        pages.filters["base64"] = lambda png: b64encode(png).decode()
        rows = np.linspace(0, len(self.labels) - 1, MAX_MAP).astype(int)
        rows = np.union1d(rows, self.medoids[self.medoids >= 0])
        graph = neighbor_graph(self.samples[rows], metric=self.metric)
        places = neighbor_layout(graph, 2, random_state=0)
        places = (places - places.min(0)) / (np.ptp(places, axis=0).max() or 1.0)
        spots = list(
            zip(rows.tolist(), self.labels[rows].tolist(), places.round(3), strict=True)
        )
        gaps = [np.abs(found.differences).max(initial=0) for found in self.features]
        parts = {"colors": COLORS, "spots": spots, "widest": max(gaps, default=0)}
        page = pages.get_template("report.html").render(report=self, **parts)
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    _repr_html_ = to_html

    def _title(self):
        n_noise = np.count_nonzero(self.labels < 0)
        noise = f", {n_noise:,} of them noise" if n_noise else ""
        return f"{self.name}: {len(self.labels):,} samples in {len(self.clusters)} clusters{noise}"

    def _name_cluster(self, k):
        share, traits = self.sizes[k] / len(self.labels), self._list_traits(k)
        name = f"cluster {self.clusters[k]}{f' ({traits})' if traits else ''}"
        name += f": {self.sizes[k]:,} samples ({share:.1%})"
        for title, values in (
            ("stability", "stability"),
            ("mean probability", "probabilities"),
        ):
            if self[values] is not None and self.sizes[k]:
                name += f", {title} {self[values][k]:.2f}"
        return name

    def _list_traits(self, k):
        """Return the two features that set a cluster apart most, as a name for it."""
        if not self.features or not self.sizes[k]:
            return ""
        names, differences = self.features[k]["names"], self.features[k]["differences"]
        traits = []
        for name, gap in zip(names[:N_TRAITS], differences, strict=False):
            low, high = ("not ", "") if SHARE in name else ("low ", "high ")
            traits += [(high if gap > 0 else low) + name] if abs(gap) >= LARGE else []
        return ", ".join(traits)

    def _describe(self, k):
        """Return texts about the samples and the features of a cluster, by their titles."""
        if not self.sizes[k]:
            return {}
        facts = {"medoid": [self._name_sample(self.medoids[k])]}
        facts["typical samples"] = [
            self._name_sample(row) for row in self.typical_rows[k]
        ]
        others = self.runner_up[self.labels == k]
        if others.max() >= 0:
            count = np.bincount(others)
            usual = self.clusters[count.argmax()]
            facts["usual runner-up"] = [f"cluster {usual}, of {count.max():,} samples"]
            facts["nearest to a border"] = [
                f"{self._name_sample(row)} (to {self.clusters[self.runner_up[row]]}, "
                f"margin {self.margin[row]:.2f})"
                for row in self.border_rows[k]
                if self.margin[row] < SURE
            ]
        if self.features:
            facts["set apart by"] = [
                f"{name}: {mean:{form}}, elsewhere {other:{form}} ({difference:+.2f} SD)"
                for name, difference, mean, other in zip(
                    *self.features[k].values(), strict=True
                )
                for form in [
                    ".0%" if SHARE in name else ",.0f" if abs(mean) >= 1000 else ".3g"
                ]
            ]
        return facts

    def _name_sample(self, row):
        return str(row if self.row_names is None else self.row_names[row])

    def _draw(self, values, images):
        """Return the pictures of each cluster, none of an empty one."""
        values = values / (find_white(values) if np.size(images) == 3 else 1)
        style = {"cmap": "gray_r", "vmin": values.min(), "vmax": values.max()}
        pictures = [{} for _ in self.clusters]
        for k in np.flatnonzero(self.sizes):
            shown = self.medoids[[k]], self.typical_rows[k], self.border_rows[k]
            for title, rows in zip(PICTURES, shown, strict=True):
                pictures[k][title] = _to_png(values[rows], images, style)
        return pictures


def _assign(estimator, X):
    """Return cluster positions (N,), -1 for noise, probabilities (N, K) or None, and K."""
    check_is_fitted(estimator)
    labels, resp = predict_samples(estimator, X), None
    if is_classifier(estimator):
        labels = np.searchsorted(estimator.classes_, labels)
    n_clusters = max(
        labels.max(initial=-1) + 1, len(getattr(estimator, "cluster_centers_", ()))
    )
    if hasattr(estimator, "predict_proba"):
        resp = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        n_clusters = resp.shape[1]
    if not n_clusters:
        raise ValueError(
            f"{type(estimator).__name__} finds no cluster: all samples are noise."
        )
    return np.maximum(labels, -1), resp, n_clusters


def _name_clusters(estimator, n_clusters):
    """Return the names (K,) of the clusters: first those in ``classes_``, then numbers."""
    known = getattr(estimator, "classes_", np.arange(n_clusters))
    if len(known) == n_clusters:
        return known
    return np.array([*known, *range(len(known), n_clusters)], dtype=object)


def _count_categories(X):
    """Return a pandas DataFrame with zeros and ones for each category; others as they are."""
    if not hasattr(X, "iloc") or all(dtype.kind in "iuf" for dtype in X.dtypes):
        return X
    columns = {}
    for name, column in X.items():
        if column.dtype.kind in "iuf":
            columns[name] = column
            continue
        known = column.notna()
        for value in sorted(column[known].unique(), key=str):
            columns[f"{name}{SHARE}{value}"] = (
                (column == value).astype(float).where(known)
            )
    return type(X)(columns)


def _find_codes(estimator, X, values, resp):
    """Return codes, or comparable samples, between which distances are measured."""
    if resp is not None and hasattr(estimator, "transform"):  # KMeans returns distances
        X = estimator.transform(X)
    elif resp is not None and not sparse.issparse(X):
        X = np.nan_to_num(StandardScaler().fit_transform(values))
    return check_array(X, accept_sparse="csr", dtype=np.float64)


def _find_runner_up(labels, resp, distances):
    """Return runners-up and margins, (N,) each."""
    closeness = -distances if resp is None else resp.copy()
    rows = np.arange(len(labels))
    own = np.where(labels < 0, closeness.argmax(1), labels)
    best = closeness[rows, own]
    closeness[rows, own] = -np.inf
    runner_up = closeness.argmax(1)
    second = closeness[rows, runner_up]
    if resp is None:
        near, far = np.minimum(-best, -second), np.maximum(-best, -second)
        margin = np.sign(best - second) * (
            1 - near / np.maximum(far, np.finfo(float).tiny)
        )
    else:
        margin = best - np.maximum(second, 0)
    return np.where(np.isinf(second), -1, runner_up), margin


def _rank_typical(labels, resp, distances):
    """Return the order of all samples by probability, and among ties by distance."""
    rows, own = np.arange(len(labels)), np.maximum(labels, 0)
    probability = np.zeros(len(labels)) if resp is None else resp[rows, own].round(2)
    return np.lexsort((distances[rows, own], -probability))


def _pick(order, labels, n_clusters, n_rows):
    """Return the first ``n_rows`` samples of each cluster in an order of all samples."""
    return [order[labels[order] == k][:n_rows] for k in range(n_clusters)]


def _check_samples(X, labels):
    """Return X as float64, dense with nan for missing values or CSR, and the labels, checked."""
    finite = True if sparse.issparse(X) else "allow-nan"
    X = check_array(X, accept_sparse="csr", dtype=np.float64, ensure_all_finite=finite)
    return X, check_labels("labels", labels, X.shape[0])


def _name_features(X, *names):
    """Return the first given names of the features (D,), the columns of X, or "x0", "x1" etc."""
    numbered = [f"x{i}" for i in range(_num_features(X))]
    return np.array(
        name_features(len(numbered), *names, getattr(X, "columns", None), numbered)
    )


def _average(member, X):
    """Return the means (K, D) of the observed values in each cluster."""
    if sparse.issparse(X):
        return cluster_means(member, X)
    known = ~np.isnan(X)
    return member.T @ np.where(known, X, 0) / np.maximum(member.T @ known, 1)


def _compare(X, member, names, n_features):
    """Return the first features of each cluster, see `compare_features`."""
    means, others = _average(member, X), _average(1 - member, X)
    is_sparse = sparse.issparse(X)
    center, variance = (
        mean_variance_axis(X, 0) if is_sparse else (np.nanmean(X, 0), np.nanvar(X, 0))
    )
    deviation = np.sqrt(variance)
    known = np.outer(
        member.any(0) & ~member.all(0), deviation > ROUNDING * np.abs(center)
    )
    differences = np.zeros(means.shape)
    np.divide(means - others, deviation, out=differences, where=known)
    features = []
    for difference, mean, other in zip(differences, means, others, strict=True):
        strength = difference if is_sparse else np.abs(difference)
        order = np.argsort(-strength, kind="stable")[:n_features]
        order = order[strength[order] > 0]
        found = {
            "names": names,
            "differences": difference,
            "means": mean,
            "other_means": other,
        }
        features.append(Bunch(**{key: values[order] for key, values in found.items()}))
    return features


def _to_png(rows, images, style):
    """Return samples as a PNG of images side by side."""
    rows, file = rows.toarray() if sparse.issparse(rows) else rows, BytesIO()
    picture, _ = make_mosaic(rows, images, [np.arange(len(rows))])
    import_matplotlib("image").imsave(file, picture, format="png", **style)
    return file.getvalue()

"""What clusters consist of: medoids, typical and doubtful rows, features that set them apart.

`ClusterReport` gathers all of it in a text and in one page of HTML. The functions take any fitted
clusterer, of this package or of scikit-learn, and ask it for ``predict`` and ``predict_proba``;
without ``predict`` (DBSCAN, AgglomerativeClustering) X has to be the rows of the fit, whose
``labels_`` are used. A negative label is noise, which is in no cluster.

Where rows are compared by distances, these are between their codes (``transform``), or if the
estimator has none between rows whose features are scaled to unit variance. Sparse rows without
codes, and those of an estimator without ``predict_proba``, such as KMeans, are taken as they are.

N rows, D features, K clusters.
"""

import base64
import html
import os
import warnings
from functools import cached_property
from io import BytesIO
from numbers import Integral
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import euclidean_distances, pairwise_distances_chunked
from sklearn.preprocessing import StandardScaler
from sklearn.utils import (
    Bunch,
    check_array,
    check_consistent_length,
    check_scalar,
)
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import _num_features, _num_samples, check_is_fitted

from ._responsibilities import cluster_means, indicate
from ._validation import check_cluster_numbers
from .display.axes import import_matplotlib, name_estimator, name_features, predict_rows
from .display.samples import draw_samples, find_white, make_mosaic
from .engine.runtime import draw_seed, random_stream
from .neighbors.search import has_distances
from .stability import cluster_stability

__all__ = [
    "ClusterReport",
    "assignment_importance",
    "compare_features",
    "find_border_rows",
    "find_medoids",
    "find_runner_up",
    "find_typical_rows",
]

#: Most rows of a cluster, drawn at random, whose distances to the others decide its medoid.
MEDOID_ROWS = 2000
#: Most rows whose features are permuted.
IMPORTANCE_ROWS = 1000
#: Standard deviations below this share of the mean are rounding errors of a constant feature.
ROUNDING = 1e-14
#: What is told of the features of a cluster.
FEATURE_COLUMNS = ("names", "differences", "means", "other_means")
#: Title of the picture of standardised differences.
DIFFERENCE = "difference to other rows (red: greater, blue: less)"
#: Margins from here on are written as 1: such rows are at no border.
SURE = 0.995
#: Most characters of texts that are written in one line.
LONGEST_LINE = 80
#: Most features whose importance is written.
MOST_IMPORTANT = 10
#: Most characters of a row's name that are written.
LONGEST_NAME = 60
#: Least height of a picture, in pixels.
LEAST_HEIGHT = 48
STYLE = """
.cluster-report {color: #222; background: white; font: 14px sans-serif}
.cluster-report pre {color: inherit; background: inherit; font: inherit; white-space: pre-wrap}
.cluster-report figure {display: inline-block; margin: 6px 18px 6px 0}"""


def find_medoids(X, labels, *, random_state=None) -> npt.NDArray[np.intp]:
    """Find the medoid of each cluster: the row with the least mean distance to the others.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows, or their codes; distances are Euclidean, so that features should be comparable.
    labels : array-like of shape (n_samples,)
        Their clusters, from 0 on; negative for noise.
    random_state : int, RandomState instance or None, default=None
        Draws the rows of clusters of more than 2,000, to which distances are measured.

    Returns
    -------
    ndarray of shape (n_clusters,)
        Positions of the medoids in X; -1 for a number without rows.

    See Also
    --------
    find_typical_rows : Several rows of each cluster, of which the estimator is sure.

    References
    ----------
    L. Kaufman, P. J. Rousseeuw, "Finding Groups in Data", Wiley 1990, chapter 2.

    Examples
    --------
    >>> from skdeepcluster.inspection import find_medoids
    >>> find_medoids([[0.0], [1.0], [3.0], [9.0], [9.5]], [0, 0, 0, 1, -1])
    array([1, 3])
    """
    X, labels = _check_rows(X, labels)
    return _find_medoids(X, labels, labels.max(initial=-1) + 1, random_state)


def find_typical_rows(estimator, X, *, n_rows: int = 5) -> list[npt.NDArray[np.intp]]:
    """Find the most typical rows of each cluster.

    These are the rows with the greatest probability of their cluster, to two decimals, and of
    equally probable ones those nearest to its mean. Without ``predict_proba`` the distance alone
    decides.

    Parameters
    ----------
    estimator : fitted clusterer
        See `skdeepcluster.inspection`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to choose from.
    n_rows : int, default=5
        Rows of each cluster, fewer where it has fewer.

    Returns
    -------
    list of ndarray
        For each cluster positions in X, the most typical first.

    See Also
    --------
    find_border_rows : The rows that might as well be in another cluster.
    find_medoids : The row in the middle of each cluster.

    Examples
    --------
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.inspection import find_typical_rows
    >>> X = [[0.0], [0.4], [1.0], [9.0], [9.6], [10.0]]
    >>> fit = GaussianMixtureEM(2, random_state=0).fit(X)
    >>> sorted(int(rows[0]) for rows in find_typical_rows(fit, X, n_rows=1))
    [1, 4]
    """
    check_scalar(n_rows, "n_rows", Integral, min_val=1)
    return _Assignment(estimator, X).rank_typical(n_rows)


def find_runner_up(estimator, X) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Find the second most probable cluster of each row, and how far it is behind.

    Parameters
    ----------
    estimator : fitted clusterer
        See `skdeepcluster.inspection`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    runner_up : ndarray of shape (n_samples,)
        Column of ``predict_proba`` of the most probable other cluster; -1 if there is no other.
    margin : ndarray of shape (n_samples,)
        Probability of the row's cluster minus that of the runner-up, in [-1, 1]. Without
        ``predict_proba`` the simplified silhouette (b - a) / max(a, b), with a the distance to
        the mean of the row's cluster and b to the nearest other mean. Noise is compared as if it
        were in the most probable cluster.

    See Also
    --------
    find_border_rows : The rows with the least margins.

    References
    ----------
    E. R. Hruschka, L. N. de Castro, R. J. G. B. Campello, "Evolutionary algorithms for clustering
    gene-expression data", ICDM 2004 (the simplified silhouette).

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from skdeepcluster.inspection import find_runner_up
    >>> X = [[0.0], [2.0], [4.0], [9.0], [11.0]]
    >>> fit = KMeans(2, random_state=0).fit(X)
    >>> runner_up, margin = find_runner_up(fit, X)
    >>> bool((runner_up == 1 - fit.labels_).all()), int(margin.argmin())
    (True, 2)
    """
    return _Assignment(estimator, X).find_runner_up()


def find_border_rows(estimator, X, *, n_rows: int = 10) -> npt.NDArray[np.intp]:
    """Find the rows nearest to a border between clusters: those of the least margins.

    Parameters
    ----------
    estimator : fitted clusterer
        See `skdeepcluster.inspection`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to choose from.
    n_rows : int, default=10
        How many rows; fewer if fewer are in clusters.

    Returns
    -------
    ndarray of shape (n_rows,)
        Positions in X, the least margin first, see `find_runner_up`; noise is left out.

    See Also
    --------
    find_runner_up : Between which clusters a row is, and its margin.
    find_typical_rows : The opposite.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from skdeepcluster.inspection import find_border_rows
    >>> X = [[0.0], [2.0], [4.0], [9.0], [11.0]]
    >>> find_border_rows(KMeans(2, random_state=0).fit(X), X, n_rows=1)
    array([2])
    """
    check_scalar(n_rows, "n_rows", Integral, min_val=1)
    assigned = _Assignment(estimator, X)
    order = assigned.find_runner_up()[1].argsort(kind="stable")
    return order[assigned.labels[order] >= 0][:n_rows]


def compare_features(X, labels, *, feature_names=None, n_features: int | None = 5) -> list[Bunch]:
    """Find the features that set each cluster apart, by standardised mean differences.

    The mean of a feature in the cluster minus that in all other rows, noise included, in standard
    deviations of the feature over all rows. Times sqrt(p (1 - p)), with p the share of the rows
    in the cluster, it is the correlation of the feature with being in the cluster.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    labels : array-like of shape (n_samples,)
        Their clusters, from 0 on; negative for noise.
    feature_names : array-like of shape (n_features,), default=None
        None: the columns of a DataFrame, else "x0", "x1" and so on.
    n_features : int, default=5
        Features of each cluster; None for all that differ.

    Returns
    -------
    list of Bunch
        For each cluster arrays ``names``, ``differences``, ``means`` and ``other_means``, the
        largest difference first; of sparse rows, such as counts of words, only features whose mean
        is greater in the cluster. Empty if the cluster has no rows, or all.

    See Also
    --------
    assignment_importance : Features without which rows would be in other clusters.

    References
    ----------
    J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition, 1988,
    chapter 2 (there in standard deviations within groups, which gives the same order).

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
    names = _name_features(feature_names, X)
    X, labels = _check_rows(X, labels)
    return _compare(X, labels, labels.max(initial=-1) + 1, names, n_features)[1]


def assignment_importance(
    estimator, X, *, n_repeats: int = 5, random_state=None
) -> npt.NDArray[np.float64]:
    """Return which share of the rows changes its cluster when a feature is permuted.

    Parameters
    ----------
    estimator : fitted clusterer with ``predict``
        Asked once for each feature and repetition.
    X : array-like of shape (n_samples, n_features)
        Rows; of more than 1,000 as many are drawn for each repetition.
    n_repeats : int, default=5
        Permutations of each feature, of which the mean is taken.
    random_state : int, RandomState instance or None, default=None
        Draws rows and permutations.

    Returns
    -------
    ndarray of shape (n_features,)
        Between 0, for a feature that does not matter given the others, and 1. Of features that
        tell the same, each may have a small share.

    See Also
    --------
    compare_features : How each cluster differs; without asking the estimator.
    sklearn.inspection.permutation_importance : What this is, of the accuracy against ``predict``.

    References
    ----------
    L. Breiman, "Random Forests", Machine Learning 45, 2001.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from skdeepcluster.inspection import assignment_importance
    >>> X = [[0.0, 0.1], [0.0, 0.2], [9.0, 0.1], [9.0, 0.2]] * 5
    >>> importance = assignment_importance(KMeans(2, random_state=0).fit(X), X, random_state=0)
    >>> bool(importance[0] > 0.3), float(importance[1])
    (True, 0.0)
    """
    check_is_fitted(estimator)
    name = type(estimator).__name__
    if not hasattr(estimator, "predict"):
        raise ValueError(f"The importance of features needs predict, which {name} does not have.")
    if sparse.issparse(X):
        raise ValueError(
            "The importance of features needs dense rows, but X is sparse: pass fewer features as "
            "X.toarray(), or use compare_features."
        )
    if has_distances(estimator):
        raise ValueError(f"{name} is fitted to distances: X has no features to permute.")
    # As scikit-learn's of the accuracy, whose reference are the estimator's own answers.
    return permutation_importance(
        estimator,
        X,
        estimator.predict(X),
        scoring=lambda fit, rows, labels: np.mean(fit.predict(rows) == labels),
        n_repeats=n_repeats,
        max_samples=min(IMPORTANCE_ROWS, _num_samples(X)),
        random_state=random_stream(random_state),
    ).importances_mean


class ClusterReport(Bunch):
    """A summary of each cluster: arrays, a text, and a page of HTML.

    Made by `from_estimator`; ``print(report)`` gives the text, notebooks show the page.

    Attributes
    ----------
    name : str
        Class of the estimator.
    clusters : ndarray of shape (n_clusters,)
        Their numbers, or the classes of a classifier.
    labels : ndarray of shape (n_samples,)
        Position in ``clusters`` of each row's cluster, -1 for noise.
    sizes : ndarray of shape (n_clusters,)
        Numbers of rows.
    probabilities : ndarray of shape (n_clusters,) or None
        Mean probability of the cluster over its rows; None without ``predict_proba``.
    stability : ndarray of shape (n_clusters,) or None
        See :func:`~skdeepcluster.stability.cluster_stability`.
    medoids : ndarray of shape (n_clusters,)
        See `find_medoids`; -1 without rows.
    typical_rows, border_rows : list of ndarray
        For each cluster positions of its most typical rows, and of those with the least margins.
    runner_up, margin : ndarray of shape (n_samples,)
        See `find_runner_up`.
    features : list of Bunch
        See `compare_features`; empty for an estimator of precomputed distances.
    importance : ndarray of shape (n_features,) or None
        See `assignment_importance`.
    feature_names : ndarray of shape (n_features,)
        Names of the features.
    row_names : ndarray of shape (n_samples,) or None
        Names of the rows.
    drawn : list of ndarray of shape (n_rows, n_features), or None
        Rows that the estimator draws of each cluster (``sample``), else its ``cluster_centers_``.
    pictures : list of dict
        For each cluster title -> PNG as bytes; empty without ``images``.

    See Also
    --------
    skdeepcluster.display.SamplesDisplay : Rows of all clusters in one picture.
    skdeepcluster.display.StabilityDisplay : The stability as a picture.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.inspection import ClusterReport
    >>> iris = load_iris()
    >>> fit = GaussianMixtureEM(3, random_state=0).fit(iris.data)
    >>> report = ClusterReport.from_estimator(fit, iris.data, feature_names=iris.feature_names)
    >>> sorted(report.sizes.tolist())
    [45, 50, 55]
    >>> print(report.to_text().splitlines()[0])
    GaussianMixtureEM: 150 rows in 3 clusters
    >>> page = report.to_html()  # to_html("clusters.html") writes a file, too
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
        """Describe the clusters in which a fitted estimator puts rows.

        Parameters
        ----------
        estimator : fitted clusterer
            See `skdeepcluster.inspection`. Of a Pipeline pass the last step, and as X the rows
            that the other steps prepare: ``pipe[-1], pipe[:-1].transform(X)``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to describe, those of the fit or others.
        feature_names : array-like of shape (n_features,), default=None
            None: the columns of a DataFrame, else those that the estimator was fitted to, else
            "x0", "x1" and so on.
        row_names : array-like of shape (n_samples,), default=None
            Shown in place of the positions of rows: titles, or texts.
        images : tuple of int, default=None
            Shape of the image that a row is: (height, width), (channels, height, width) or
            (height, width, channels). None draws no pictures.
        n_rows : int, default=5
            Typical, doubtful and drawn rows of each cluster.
        n_features : int, default=5
            Features of each cluster.
        stability : bool, default=False
            Whether to fit the estimator to ten samples of the rows, to see whether the clusters
            are found again. A ``cluster_stability_`` that is there already is always shown.
        importance : bool, default=False
            Whether to measure the importance of each feature; it needs ``predict`` and dense X.
        random_state : int, RandomState instance or None, default=None
            Decides everything random but the drawn rows, which the estimator's own decides.

        Returns
        -------
        report : ClusterReport

        Raises
        ------
        ValueError
            When names or images do not fit X, or all rows are noise.
        ImportError
            When ``images`` are asked for and matplotlib is not installed.
        """
        for name, count in (("n_rows", n_rows), ("n_features", n_features)):
            check_scalar(count, name, Integral, min_val=1)
        found = _Assignment(estimator, X)
        names = _name_features(feature_names, X, estimator)
        if row_names is not None:
            check_consistent_length(X, row_names)
            row_names = np.asarray(row_names)
        seed = draw_seed(random_stream(random_state))
        values, labels = _check_rows(X, found.labels)
        differences, features = _compare(values, labels, found.n_clusters, names, n_features)
        runner_up, margin = found.find_runner_up()
        report = cls(
            name=name_estimator(estimator),
            clusters=getattr(estimator, "classes_", np.arange(found.n_clusters)),
            labels=labels,
            sizes=np.bincount(labels[labels >= 0], minlength=found.n_clusters),
            probabilities=found.probabilities,
            stability=_find_stability(estimator, X, found, seed, stability),
            medoids=_find_medoids(found.codes, labels, found.n_clusters, seed),
            typical_rows=found.rank_typical(n_rows),
            border_rows=found.divide(margin.argsort(kind="stable"), n_rows),
            runner_up=runner_up,
            margin=margin,
            features=[] if has_distances(estimator) else features,
            importance=None,
            feature_names=names,
            row_names=row_names,
            drawn=_draw_rows(estimator, n_rows, found.n_clusters),
            pictures=[],
        )
        if importance:
            report.importance = assignment_importance(estimator, X, random_state=seed)
        if images is not None:
            report.pictures = report._draw(values, differences, images)
        return report

    def __repr__(self):
        return f"<ClusterReport of {self._title()}>"

    def __str__(self):
        return self.to_text()

    def to_text(self) -> str:
        """Return the summary as a text, with a paragraph for each cluster."""
        paragraphs = [self._name_cluster(k) + self._describe(k) for k in range(len(self.clusters))]
        return "\n\n".join([self._title() + self._list_importance(), *paragraphs])

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the summary as one page of HTML, which holds its pictures.

        Parameters
        ----------
        path : str or path-like, default=None
            File to write the page to, too.

        Returns
        -------
        page : str
        """
        title = html.escape(self._title())
        page = (
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"</head><body>\n{self._repr_html_()}\n</body></html>\n"
        )
        if path is not None:
            Path(path).write_text(page, encoding="utf-8")
        return page

    def _repr_html_(self):
        importance = html.escape(self._list_importance())
        lines = [f"<h2>{html.escape(self._title())}</h2>{importance}"]
        for k in range(len(self.clusters)):
            name = html.escape(self._name_cluster(k))
            lines += [f"<h3>{name}</h3>"]
            pictures = self.pictures[k] if self.pictures else {}
            for title, png in pictures.items():
                source = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
                lines += [f"<figure><figcaption>{title}</figcaption>"]
                lines += [f'<img alt="{title}, {name}" src="{source}"></figure>']
            text = self._describe(k, with_features=DIFFERENCE not in pictures)
            lines += [f"<pre>{html.escape(text)}</pre>"]
        body = "\n".join(lines)
        return f'<div class="cluster-report"><style>{STYLE}</style>\n{body}\n</div>'

    def _title(self):
        n_noise = np.count_nonzero(self.labels < 0)
        noise = f", {n_noise:,} of them noise" if n_noise else ""
        return f"{self.name}: {len(self.labels):,} rows in {len(self.clusters)} clusters{noise}"

    def _list_importance(self):
        """Return a line about the features that matter most, if that is known."""
        if self.importance is None:
            return ""
        order = np.argsort(-self.importance, kind="stable")[:MOST_IMPORTANT]
        shares = [f"{self.feature_names[i]} {self.importance[i]:.0%}" for i in order]
        return "\nrows that change cluster if a feature is permuted: " + "; ".join(shares)

    def _name_cluster(self, k):
        share = self.sizes[k] / len(self.labels)
        name = f"cluster {self.clusters[k]}: {self.sizes[k]:,} rows ({share:.1%})"
        for title, values in (("stability", "stability"), ("mean probability", "probabilities")):
            if self[values] is not None and self.sizes[k]:
                name += f", {title} {self[values][k]:.2f}"
        return name

    def _describe(self, k, with_features=True):
        """Return indented lines about the rows and the features of a cluster."""
        if not self.sizes[k]:
            return ""
        facts = {
            "medoid": [self._name_row(self.medoids[k])],
            "typical rows": [self._name_row(row) for row in self.typical_rows[k]],
        }
        others = self.runner_up[self.labels == k]
        if others.max() >= 0:
            others = np.bincount(others)
            usual = self.clusters[others.argmax()]
            facts["usual runner-up"] = [f"cluster {usual}, of {others.max():,} rows"]
            facts["nearest to a border"] = [
                f"{self._name_row(row)} (to {self.clusters[self.runner_up[row]]}, "
                f"margin {self.margin[row]:.2f})"
                for row in self.border_rows[k]
                if self.margin[row] < SURE
            ]
        if self.features and with_features:
            facts["set apart by"] = [
                f"{name}: {mean:.3g}, elsewhere {other:.3g} ({difference:+.2f} SD)"
                for name, difference, mean, other in zip(*self.features[k].values(), strict=True)
            ]
        text = ""
        for title, items in facts.items():
            is_short = sum(map(len, items)) <= LONGEST_LINE
            listed = " " + "; ".join(items) if is_short else "".join(f"\n    {i}" for i in items)
            text += f"\n  {title}:{listed}" if items else ""
        return text

    def _name_row(self, row):
        return str(row if self.row_names is None else self.row_names[row])[:LONGEST_NAME]

    def _draw(self, values, differences, images):
        """Return the pictures of each cluster that has rows."""
        white = find_white(values) if np.size(images) == 3 else 1
        values = values / white
        ends = {"cmap": "gray_r", "vmin": values.min(), "vmax": values.max()}
        largest = np.abs(differences).max()
        scale = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        pictures = []
        for k, typical in enumerate(self.typical_rows):
            shown = {
                "medoid": values[self.medoids[[k]][: len(typical)]],
                "typical rows": values[typical],
                "nearest to a border": values[self.border_rows[k]],
                "drawn rows": values[:0] if self.drawn is None else self.drawn[k] / white,
            }
            own = {t: _to_png(rows, images, ends) for t, rows in shown.items() if rows.shape[0]}
            if own and len(images) == 2:
                own[DIFFERENCE] = _to_png(differences[[k]], images, scale)
            pictures.append(own)
        return pictures


class _Assignment:
    """The clusters in which a fitted estimator puts rows.

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
            raise ValueError(
                f"{type(estimator).__name__} finds noise only: there are no clusters to describe."
            )

    @property
    def probabilities(self):
        """Mean probability of each cluster over its rows, (K,), or None."""
        if self.resp is None:
            return None
        member = indicate(self.labels, self.n_clusters).toarray()
        return cluster_means(member, self.resp).diagonal().copy()

    @cached_property
    def codes(self):
        """Codes or comparable rows, dense or CSR."""
        rows = self.X
        if self.resp is not None and hasattr(self.estimator, "transform"):
            rows = self.estimator.transform(rows)
        elif self.resp is not None and not sparse.issparse(rows):
            rows = StandardScaler().fit_transform(_check_numbers(rows))
        return _check_numbers(rows)

    @cached_property
    def distances(self):
        """Distances (N, K) of the codes to the means of clusters, inf for empty ones."""
        member = indicate(self.labels, self.n_clusters).toarray()
        means = cluster_means(member, self.codes)
        return np.where(member.any(0), euclidean_distances(self.codes, means), np.inf)

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
        """Return the most typical rows of each cluster."""
        own = np.maximum(self.labels, 0)[:, None]
        distance = np.take_along_axis(self.distances, own, 1)[:, 0]
        doubt = np.zeros(len(own))
        if self.resp is not None:
            doubt = -np.take_along_axis(self.resp, own, 1)[:, 0].round(2)
        return self.divide(np.lexsort((distance, doubt)), n_rows)

    def divide(self, order, n_rows):
        """Return the first ``n_rows`` rows of each cluster in an order of all rows."""
        owners = self.labels[order]
        return [order[owners == k][:n_rows] for k in range(self.n_clusters)]


def _assign(estimator, X):
    """Return the cluster of each row, (N,), -1 for noise; of a classifier the class's position."""
    labels = predict_rows(estimator, X)
    if hasattr(estimator, "classes_"):
        labels = np.searchsorted(estimator.classes_, labels)
    return np.maximum(labels, -1)


def _check_rows(X, labels):
    """Return X as float64, dense or CSR, and the labels, checked."""
    X = _check_numbers(X)
    return X, check_cluster_numbers(labels, X.shape[0])


def _check_numbers(X):
    """Return X as float64, dense or CSR, checked."""
    try:
        return check_array(X, accept_sparse="csr", dtype=np.float64)
    except ValueError as error:
        raise ValueError(
            f"Only finite numbers are compared ({error}). For the last step of a Pipeline, pass "
            "the rows that the steps before it prepare."
        ) from error


def _name_features(names, X, estimator=None):
    """Return the names of the features, (D,), "x0", "x1" and so on where none are known."""
    n_features = _num_features(X)
    names = name_features(names, X, n_features, estimator)
    return np.array([f"x{i}" for i in range(n_features)] if names is None else names)


def _find_medoids(X, labels, n_clusters, random_state):
    """Return the medoids (K,) of checked rows."""
    stream, medoids = random_stream(random_state), np.full(n_clusters, -1)
    for k in range(n_clusters):
        rows = np.flatnonzero(labels == k)
        if len(rows):
            others = rows if len(rows) <= MEDOID_ROWS else stream.choice(rows, MEDOID_ROWS, False)
            distances = pairwise_distances_chunked(X[rows], X[others], reduce_func=_average)
            medoids[k] = rows[np.concatenate(list(distances)).argmin()]
    return medoids


def _average(distances, start):
    return distances.mean(1)


def _compare(X, labels, n_clusters, names, n_features):
    """Return the standardised differences (K, D), and the first features of each cluster."""
    member = indicate(labels, n_clusters).toarray()
    means, others = cluster_means(member, X), cluster_means(1 - member, X)
    is_sparse = sparse.issparse(X)
    center, variance = mean_variance_axis(X, 0) if is_sparse else (X.mean(0), X.var(0))
    deviation = np.sqrt(variance)
    known = np.outer(member.any(0) & ~member.all(0), deviation > ROUNDING * np.abs(center))
    differences = np.zeros(means.shape)
    np.divide(means - others, deviation, out=differences, where=known)
    strength = differences if is_sparse else np.abs(differences)
    features = []
    for own, row in zip(strength, zip(differences, means, others, strict=True), strict=True):
        order = np.argsort(-own, kind="stable")[:n_features]
        order = order[own[order] > 0]
        columns = dict(zip(FEATURE_COLUMNS, (names, *row), strict=True))
        features.append(Bunch(**{name: column[order] for name, column in columns.items()}))
    return differences, features


def _find_stability(estimator, X, found, seed, is_wanted):
    """Return the stability of each cluster, (K,), where it is wanted or known, else None."""
    if hasattr(estimator, "cluster_stability_"):
        return estimator.cluster_stability_
    if not is_wanted:
        return None
    if hasattr(estimator, "cluster_stability"):
        return estimator.cluster_stability()
    if is_classifier(estimator):
        raise ValueError(
            f"stability=True fits a clusterer to samples of X, but {type(estimator).__name__} is "
            "a classifier. Set stability=False."
        )
    stability = cluster_stability(estimator, X, found.labels, random_state=seed)
    return np.append(stability, np.zeros(found.n_clusters - len(stability)))


def _draw_rows(estimator, n_rows, n_clusters):
    """Return rows that the estimator draws of each cluster, or its centres, or None."""
    if hasattr(estimator, "sample"):
        samples, owners = draw_samples(estimator, n_rows)
        if owners is None:
            with warnings.catch_warnings():
                # The estimator drew the rows itself; they have no names.
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                owners = _assign(estimator, samples)
        return [samples[owners == k][:n_rows] for k in range(n_clusters)]
    centers = getattr(estimator, "cluster_centers_", None)
    return None if centers is None else [centers[[k]] for k in range(n_clusters)]


def _to_png(rows, images, style):
    """Return rows as a PNG of images side by side."""
    imsave = import_matplotlib("image").imsave
    rows = rows.toarray() if sparse.issparse(rows) else rows
    picture = make_mosaic(rows, images, [np.arange(len(rows))])[0]
    # Enlarged to where browsers, and readers, tell the pixels apart.
    zoom = -(-LEAST_HEIGHT // len(picture))
    file = BytesIO()
    imsave(file, picture.repeat(zoom, axis=0).repeat(zoom, axis=1), format="png", **style)
    return file.getvalue()

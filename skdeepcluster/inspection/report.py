"""ClusterReport: the clusters of a fit, as a text and as a page of HTML."""

from typing import Any, Self

import numpy as np
from sklearn.utils import Bunch, check_array, check_consistent_length
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ..display import EmbeddingDisplay
from ..display.base import reach_last_step
from ..input.labels import check_labels, cluster_means, indicate, predict_samples
from ..input.preparation import Preparation
from ..neighbor_clustering import NeighborClustering
from ..neighbors.search import has_distances
from .clusters import (
    average_known,
    find_medoids,
    find_typical,
    list_features,
    read_features,
)
from .page import write_page

#: Maximum number of characters of the name of a sample or a feature.
MAX_TEXT = 80


class ClusterReport(Bunch):
    """Summary of each cluster, made by `from_estimator`.

    ``print(report)`` writes a text, and notebooks show a page of HTML.

    Attributes
    ----------
    clusters : ndarray of shape (n_clusters,)
        Numbers of the clusters, or their names in ``classes_``. You may assign other names.
    labels : ndarray of shape (n_samples,)
        Position in ``clusters`` of the cluster of each sample, -1 for noise.
    sizes, medoids : ndarray of shape (n_clusters,)
        Numbers of samples, and positions of the medoids, -1 for an empty cluster.
    typical_rows : list of ndarray
        Positions of the samples of each cluster that are nearest to its medoid, which is first.
    probabilities : ndarray of shape (n_clusters,) or None
        Mean probability of each cluster.
    features : list of Bunch
        See `compare_features`; empty for precomputed distances.

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster.inspection import ClusterReport
    >>> X = load_iris(as_frame=True).data
    >>> fit = KMeans(3, random_state=0).fit(X)
    >>> print(str(ClusterReport.from_estimator(fit, X)).splitlines()[0])
    KMeans: 150 samples, 3 clusters
    """

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        feature_names=None,
        row_names=None,
        n_rows: int = 5,
        n_features: int = 5,
        random_state=None,
    ) -> Self:
        """Describe the clusters that a fitted estimator finds in X.

        Parameters
        ----------
        estimator : fitted clusterer or Pipeline
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; those of the fit if the clusterer has no ``predict``.
        feature_names : array-like of shape (n_features,), default=None
            See `compare_features`.
        row_names : array-like of shape (n_samples,), default=None
            Names of the samples; None means their positions.
        n_rows, n_features : int, default=5
            Number of typical samples of each cluster, and of features that set it apart.
        random_state : int, RandomState instance or None, default=None
            See `find_medoids`.
        """
        last, reached = reach_last_step(estimator, X)
        labels, resp, clusters = _predict_clusters(last, reached)
        check_consistent_length(labels, row_names)
        member = indicate(labels, len(clusters)).toarray()

        embedding, metric = _embed(last, reached, resp)
        embedding = check_array(embedding, accept_sparse="csr", dtype=np.float64)
        medoids = np.full(len(clusters), -1)
        found = find_medoids(embedding, labels, random_state=random_state)
        medoids[: len(found)] = found

        report = cls(
            name=type(last).__name__,
            clusters=clusters,
            labels=labels,
            embedding=embedding,
            metric=metric,
            row_names=range(len(labels)) if row_names is None else row_names,
            sizes=member.sum(0).astype(int),
            medoids=medoids,
            typical_rows=[
                find_typical(embedding, labels, medoid, n_rows) for medoid in medoids
            ],
            expected_score=getattr(last, "expected_score_", None),
            curve=getattr(last, "n_clusters_curve_", None),
            probabilities=None,
            features=[],
            feature_names=np.array([]),
            means=np.empty((len(clusters), 0)),
        )
        if resp is not None:
            report.probabilities = cluster_means(member, resp).diagonal()
        if not has_distances(estimator):
            kinds = estimator.get_params(deep=False).get("kinds", "auto")
            values, names = read_features(X, feature_names, kinds)
            report.feature_names = names
            report.means = average_known(member, values)
            report.features = list_features(values, names, member, n_features)
        return report

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with the size, probability and means of each cluster."""
        import pandas as pd

        index = pd.Index(self.clusters, name="cluster")
        sizes = {"samples": self.sizes}
        if self.probabilities is not None:
            sizes["probability"] = self.probabilities
        means = pd.DataFrame(self.means, index, self.feature_names)
        return pd.concat([pd.DataFrame(sizes, index), means], axis=1)

    def __str__(self) -> str:
        lines = [self._write_title()]
        for k, name in enumerate(self.clusters):
            lines += ["", f"cluster {name}"]
            for title, texts in self._describe(k).items():
                gap = "\n    " if len(texts) > 1 else " "
                lines.append(f"  {title}:{gap}{gap.join(texts)}")
        return "\n".join(lines)

    __repr__ = __str__

    def to_html(self, path=None) -> str | None:
        """Return a page of HTML with a map by matplotlib, or write it to a path."""
        check_matplotlib_support("ClusterReport.to_html")
        from matplotlib.figure import Figure

        table = [["cluster", *self._describe(0)]]
        for k, name in enumerate(self.clusters):
            facts = self._describe(k).values()
            table.append([str(name), *map("\n".join, facts)])

        figure = Figure(figsize=(8, 5), layout="constrained")
        labels = np.append(self.clusters, -1)[self.labels]
        display = EmbeddingDisplay(self.embedding, labels, metric=self.metric)
        display.plot(figure.subplots())
        return write_page(path, self._write_title(), table, figure)

    _repr_html_ = to_html

    def _write_title(self):
        """Return the numbers of samples and clusters, and the expected score, as a line."""
        n_clusters = len(self.clusters)
        n_noise = (self.labels < 0).sum()
        title = f"{self.name}: {len(self.labels):,} samples, {n_clusters} clusters"
        if self.curve and self.curve.is_likely.sum() > 1:
            likely = self.curve.n_clusters[self.curve.is_likely]
            title += f" ({likely[0]} to {likely[-1]} are about as likely)"
        if n_noise:
            title += f", {n_noise:,} samples in none"
        if self.expected_score is not None:
            title += f", expected score {self.expected_score:.2f}"
        return title

    def _describe(self, k):
        """Return texts about a cluster by their titles."""
        size = self.sizes[k]
        facts = {"samples": [f"{size:,} ({size / len(self.labels):.1%})"]}
        if self.probabilities is not None:
            facts["mean probability"] = [f"{self.probabilities[k]:.2f}"]
        names = [str(self.row_names[i])[:MAX_TEXT] for i in self.typical_rows[k]]
        facts["typical samples"] = names
        if self.features:
            rows = zip(*self.features[k].values(), strict=True)
            facts["set apart by"] = [
                f"{name[:MAX_TEXT]}: {mean:,.4g}, elsewhere {other:,.4g} ({gap:+.2f} SD)"
                for name, gap, mean, other in rows
            ]
        return facts


def _predict_clusters(estimator, X):
    """Return cluster positions (N,), -1 for noise, probabilities or None, and names (K,)."""
    labels = predict_samples(estimator, X)
    # Labels below -1 are noise of HDBSCAN.
    labels = check_labels("labels", np.maximum(labels, -1), len(labels))

    resp = None
    n_clusters = labels.max() + 1
    if hasattr(estimator, "predict_proba"):
        resp = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        n_clusters = resp.shape[1]
    if n_clusters == 0:
        kind = type(estimator).__name__
        raise ValueError(f"{kind} finds no cluster: all samples are noise.")
    names = getattr(estimator, "classes_", ())
    return labels, resp, np.array([*names, *range(len(names), n_clusters)])


def _embed(estimator, X, resp):
    """Return the samples as an estimator compares them, and their metric."""
    if isinstance(estimator, NeighborClustering):
        return estimator._read(X), estimator.metric
    # KMeans has no probabilities, and its transform returns distances.
    if resp is not None and hasattr(estimator, "transform"):
        return estimator.transform(X), "euclidean"
    return Preparation().fit_transform(X), "euclidean"

"""ClusterReport: the clusters of a fit, as a text and as a page of HTML."""

import os
from copy import copy
from io import BytesIO
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils._optional_dependencies import (
    check_matplotlib_support,
    check_pandas_support,
)

from ..display.base import reach_last_step, to_array
from ..display.samples import find_white, make_mosaic
from ..estimators.ensemble import ClusterEnsemble
from ..estimators.neighbor_clustering import NeighborClustering
from ..input.labels import check_labels, cluster_means, indicate, is_missing
from .features import average_known, list_features, shorten
from .page import find_spots, write_page
from .reading import (
    choose_names,
    list_answers,
    predict_clusters,
    prepare_samples,
)
from .samples import find_medoids, find_typical, rank_samples

#: Minimum margin of samples that are not listed as near a border.
SURE = 0.995
#: Names in the map, as shares of its width: line, mean letter, and distance from the medoid.
LINE = 0.045
LETTER = 0.02
NAME_GAP = 0.025
#: Medoids to the right of it have their names on their left.
NAME_LEFT = 0.6
#: Maximum number of features that name a cluster.
N_TRAITS = 2
#: Minimum difference of these features, and of those that are listed, in standard deviations.
LARGE = 0.5
SMALL = 0.2
#: Maximum number of features in the tables of all clusters and of the samples of the map.
MAX_PROFILE = 15


class ClusterReport(Bunch):
    """Summary of each cluster, made by `from_estimator`.

    ``print(report)`` writes a text, and notebooks show a page of HTML.

    Attributes
    ----------
    name : str
        Class of the estimator.
    clusters : ndarray of shape (n_clusters,)
        Numbers of the clusters, their names in ``classes_``, or the given names.
    table : {ndarray, sparse matrix, DataFrame} of shape (n_samples, n_features)
        The samples that were given.
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
        Positions of the samples of each cluster that are nearest to its medoid.
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
    origins : dict
        Column of ``table`` that each feature comes from, and whether it is a category's share.
    means : ndarray of shape (n_clusters, n_features) or None
        Mean of each feature in each cluster, without missing values.
    missing : ndarray of shape (n_features,) or None
        Share of the values that are missing.
    examples : list of Bunch
        For each cluster ``columns`` and ``rows``: values of its medoid and its typical samples,
        as texts.
    expected_score : float or None
        The ``expected_score_`` of the estimator.
    alternatives : list of str
        Other partitions of the same fit, in words: see ``alternatives_`` of
        :class:`~skdeepcluster.NeighborClustering`.
    kinds : str
        Kinds of the columns of a table, in a line; empty without.
    others : list of ClusterReport
        Reports of these partitions.
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
        names=None,
        images=None,
        n_rows: int = 5,
        n_features: int = 5,
        random_state=None,
    ) -> Self:
        """Describe the clusters that a fitted estimator finds in X.

        Parameters
        ----------
        estimator : fitted clusterer of this package or of scikit-learn
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; for a clusterer without ``predict`` (DBSCAN), the samples of its fit. For a
            Pipeline, X is its input: features are reported in the units of X, categories of a
            DataFrame as shares ("site = north"), and missing values are left out.
        feature_names : array-like of shape (n_features,), default=None
            Names; None means those in X or in the fit, or "x0", "x1" and so on.
        row_names : array-like of shape (n_samples,), default=None
            Names of the samples, shown instead of their positions.
        names : array-like of shape (n_clusters,) or dict, default=None
            Names of the clusters, shown instead of their numbers; a dict may name some of them.
        images : tuple of int or array-like of shape (n_samples, ...), default=None
            Images of the samples. A tuple is the ``image_shape`` of samples that are images, see
            `skdeepcluster.display.SamplesDisplay`; None draws none.
        n_rows, n_features : int, default=5
            Number of typical and of doubtful samples of each cluster, and of features.
        random_state : int, RandomState instance or None, default=None
            See `find_medoids`.
        """
        last, reached = reach_last_step(estimator, X)
        clusters = predict_clusters(last, reached)
        options = Bunch(
            samples=prepare_samples(
                estimator, X, clusters[1], feature_names, row_names
            ),
            images=images,
            n_rows=n_rows,
            n_features=n_features,
            random_state=random_state,
        )
        report = cls._describe_partition(last, clusters, names, options)

        if isinstance(last, NeighborClustering):
            for answer in last.alternatives_:
                other = copy(last).use(answer)
                clusters = predict_clusters(other, reached)
                other = cls._describe_partition(other, clusters, None, options)
                report.others.append(other)
        return report

    @classmethod
    def _describe_partition(cls, estimator, clusters, names, options):
        """Return the report of one partition of the samples."""
        labels, resp, n_clusters = clusters
        values, codes, attributes = options.samples
        labels = check_labels("labels", labels, values.shape[0])
        member = indicate(labels, n_clusters).toarray()
        distances = euclidean_distances(codes, cluster_means(member, codes))
        distances[:, ~member.any(0)] = np.inf
        medoids = find_medoids(codes, labels, random_state=options.random_state)
        n_empty = n_clusters - len(medoids)
        medoids = np.pad(medoids, (0, n_empty), constant_values=-1)

        report = cls(
            **attributes,
            name=type(estimator).__name__,
            clusters=choose_names(estimator, names, n_clusters),
            labels=labels,
            sizes=member.sum(0).astype(int),
            probabilities=None,
            stability=None,
            medoids=medoids,
            features=[],
            means=None,
            others=[],
            pictures=[],
            typical_rows=find_typical(codes, labels, medoids, options.n_rows),
            **rank_samples(labels, resp, distances, options.n_rows),
        )
        report |= list_answers(estimator, report.clusters)
        if resp is not None:
            report.probabilities = cluster_means(member, resp).diagonal()
        if isinstance(estimator, ClusterEnsemble):
            report.stability = estimator.cluster_stability_
        # Distances have no features.
        if report.missing is not None:
            names = report.feature_names
            report.features = list_features(values, member, names, options.n_features)
            report.means = average_known(member, values)
        report.examples = report._list_examples()
        if options.images is not None:
            report.pictures = report._draw(values, options.images)
        return report

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each cluster, for CSV or Markdown.

        Columns are the number of samples, the mean probability, if there is one, and the mean of
        each feature.
        """
        pd = check_pandas_support("to_frame")
        index = pd.Index(self.clusters, name="cluster")
        columns = {"samples": self.sizes}
        if self.probabilities is not None:
            columns["probability"] = self.probabilities
        if self.means is not None:
            columns |= dict(zip(self.feature_names, self.means.T, strict=True))
        return pd.DataFrame(columns, index=index)

    def __repr__(self):
        return f"<ClusterReport of {self.to_text().splitlines()[0]}>"

    def to_text(self) -> str:
        """Return the summary as a text, with a paragraph for each cluster."""
        return write_page("report.txt", report=self)

    __str__ = to_text

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the summary as a page of HTML with its pictures, and write it to a path."""
        medoids = [
            report.medoids[report.medoids >= 0] for report in (self, *self.others)
        ]
        spots = find_spots(self.samples, self.metric, np.concatenate(medoids))
        rows = [row for row, _ in spots]
        # Distances have no features.
        features = [] if self.means is None else self.feature_names
        return write_page(
            "report.html",
            path,
            report=self,
            spots=spots,
            table=self._write_samples(rows, [*self._rank_features(), *features]),
        )

    _repr_html_ = to_html

    def _find_widest(self):
        """Return the largest difference of a feature."""
        return max(
            (np.abs(row.differences).max(initial=0) for row in self.features), default=0
        )

    def _place_names(self, spots):
        """Return the names of the clusters in a map, each below those that it would cover."""
        named = [spot for spot in spots if spot[0] in self.medoids]
        placed = []
        for row, (x, y) in sorted(named, key=lambda spot: spot[1][1]):
            name = str(self.clusters[self.labels[row]])
            width = LETTER * len(name)
            is_left = x > NAME_LEFT
            x += -NAME_GAP if is_left else NAME_GAP
            left = x - width if is_left else x
            right = left + width
            for other in placed:
                meets = left < other.right and other.left < right
                if meets and abs(y - other.y) < LINE:
                    y = other.y + LINE
            side = "end" if is_left else "start"
            placed.append(Bunch(name=name, x=x, y=y, side=side, left=left, right=right))
        return placed

    def _list_examples(self):
        """Return values of the medoid and the typical samples, in the units of the table."""
        examples = []
        for k, features in enumerate(self.features):
            names = features.names if len(features.names) else self._rank_features()
            # An empty cluster has no samples.
            rows = np.append(self.medoids[k], self.typical_rows[k])[: self.sizes[k]]
            examples.append(self._write_samples(rows, names))
        return examples

    def _write_samples(self, rows, names):
        """Return the first columns that features come from, and values of samples as texts."""
        headers = {}
        for name in names:
            place, is_share = self.origins[name]
            headers[place] = self.table.columns[place] if is_share else name
        places = list(headers)[:MAX_PROFILE]

        chosen = _safe_indexing(_safe_indexing(self.table, places, axis=1), rows)
        values = np.asarray(to_array(chosen), dtype=object)
        cells = [
            [self._name_sample(row), *map(_write, line)]
            for row, line in zip(rows, values, strict=True)
        ]
        columns = [shorten(headers[place]) for place in places]
        return Bunch(columns=columns, rows=cells)

    def _rank_features(self):
        """Return the names of the features that differ most between clusters, if any does."""
        strongest = {}
        for features in self.features:
            gaps = np.abs(features.differences)
            for name, gap in zip(features.names, gaps, strict=True):
                strongest[name] = max(gap, strongest.get(name, 0))
        ranked = sorted(strongest, key=strongest.get, reverse=True)
        return (ranked or list(self.feature_names))[:MAX_PROFILE]

    def _profile(self):
        """Return the names and means (K,) of the features that differ most, as texts."""
        if self.means is None or not self.features:
            return []
        names = self._rank_features()

        places = {name: i for i, name in enumerate(self.feature_names)}
        lines = []
        for name in names:
            means = self.means[:, places[name]]
            missing = self.missing[places[name]]
            note = f" ({missing:.0%} missing)" if missing else ""
            lines.append(
                [
                    f"{name}{note}",
                    *(_write_mean(mean, self._is_share(name)) for mean in means),
                ]
            )
        return lines

    def _list_traits(self, k):
        """Return the features that set a cluster apart most, in words that name it.

        Its extremes among all clusters come first.
        """
        if not self.features:
            return []
        features = self.features[k]
        gaps = features.differences
        is_large = np.abs(gaps) >= LARGE
        is_extreme = is_large & self._is_extreme(k)
        chosen = is_extreme if is_extreme.any() else is_large

        traits = []
        for name, gap in zip(features.names[chosen], gaps[chosen], strict=True):
            low, high = ("not ", "") if self._is_share(name) else ("low ", "high ")
            traits.append(f"{high if gap > 0 else low}{name}")
        return traits[:N_TRAITS]

    def _is_extreme(self, k):
        """Return whether a cluster has the least or the greatest mean of its features."""
        names = self.feature_names.tolist()
        means = self.means[:, [names.index(name) for name in self.features[k].names]]
        means = means[self.sizes > 0]
        center = self.features[k].means
        is_high = self.features[k].differences > 0
        return np.where(is_high, center >= means.max(0), center <= means.min(0))

    def _describe(self, k):
        """Return texts about the samples and the features of a cluster, by their titles."""
        if not self.sizes[k]:
            return {}
        facts = {
            "medoid": [self._name_sample(self.medoids[k])],
            "typical samples": list(map(self._name_sample, self.typical_rows[k])),
        }

        runners_up = self.runner_up[self.labels == k]
        if runners_up.max() >= 0:
            counts = np.bincount(runners_up)
            usual = self.clusters[counts.argmax()]
            facts["usual runner-up"] = [f"cluster {usual} for {counts.max():,} samples"]

            rows = self.border_rows[k]
            unsure = rows[self.margin[rows] < SURE]
            facts["nearest to a border"] = list(map(self._describe_border, unsure))

        if self.features:
            columns = self.features[k].values()
            lines = list(map(self._describe_feature, *columns))
            gaps = np.abs(self.features[k].differences)
            facts["set apart by"] = lines[: (gaps >= SMALL).sum()]
        return facts

    def _describe_border(self, row):
        cluster = self.clusters[self.runner_up[row]]
        return f"{self._name_sample(row)} (to {cluster}, margin {self.margin[row]:.2f})"

    def _describe_feature(self, name, difference, mean, other):
        is_share = self._is_share(name)
        mean, other = (_write_mean(value, is_share) for value in (mean, other))
        return f"{name}: {mean}, elsewhere {other} ({difference:+.2f} SD)"

    def _is_share(self, name):
        """Return whether a feature is the share of a category."""
        return self.origins[name][1]

    def _name_sample(self, row):
        return shorten(row if self.row_names is None else self.row_names[row])

    def _draw(self, values, images):
        """Return the pictures of each cluster, none of an empty one."""
        check_matplotlib_support("images")
        from matplotlib.image import imsave

        if np.ndim(images) > 1:
            values = np.reshape(images, (len(self.labels), -1))
            images = np.shape(images)[1:]
        if np.size(images) == 3:
            values = values / find_white(values)
        shown = {
            "medoid": self.medoids[:, None],
            "typical samples": self.typical_rows,
            "nearest to a border": self.border_rows,
        }
        style = {"cmap": "gray_r", "vmin": values.min(), "vmax": values.max()}
        pictures = [{} for _ in self.clusters]

        for k in np.flatnonzero(self.sizes):
            for title, rows in shown.items():
                samples = to_array(values[rows[k]])
                file = BytesIO()
                imsave(file, make_mosaic([samples], images), format="png", **style)
                pictures[k][title] = file.getvalue()
        return pictures


def _write_mean(mean, is_share=False):
    """Return the mean of a feature as a text, a share in percent."""
    if is_share:
        return f"{mean:.0%}"
    return f"{mean:,.0f}" if abs(mean) >= 1000 else f"{mean:.3g}"


def _write(value):
    """Return a value of a table as a text."""
    if is_missing(value):
        return "missing"
    if isinstance(value, Real) and not isinstance(value, bool):
        return _write_mean(value)
    return shorten(value)

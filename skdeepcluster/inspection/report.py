"""ClusterReport: the clusters of a fit, as a text and as a page of HTML."""

import os
from copy import copy
from io import BytesIO
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ..display.base import reach_last_step, to_array
from ..display.places import place_names
from ..display.samples import find_white, make_mosaic
from ..input.labels import check_labels, cluster_means, indicate, is_missing
from ..partition.selection import describe_changes
from .clusters import (
    compare_means,
    find_medoids,
    find_typical,
    list_features,
    rank_samples,
)
from .page import find_spots, list_moves, match_before, write_page
from .reading import choose_names, describe_samples, predict_clusters, shorten

#: Minimum margin of samples that are not listed as near a border.
SURE = 0.995
#: Minimum difference of the second one, and of features that are listed, in standard deviations.
LARGE = 0.5
SMALL = 0.2
#: Height of a name in the map of a page, as a share of its width.
NAME_HEIGHT = 0.04
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
        Column of ``table`` that each feature comes from, whether it is a category's share, and the
        first day of dates, which are days since then.
    means, differences : ndarray of shape (n_clusters, n_features) or None
        Mean of each feature in each cluster, without missing values, and its difference from the
        mean of all other samples, in standard deviations.
    before : ndarray of shape (n_samples,) or None
        Position in ``clusters`` of the earlier cluster of each sample, -1 for none. A cluster is
        the earlier one if more than half of the samples of both are in both; earlier clusters
        without a successor have larger numbers.
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
        How a clusterer of this package read the columns, in a line; else empty.
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
        before=None,
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
            Names of the samples. None means a column of different texts that the fit left out, or
            else positions.
        names : array-like of shape (n_clusters,) or dict, default=None
            Names of the clusters, shown instead of their numbers; a dict may name some of them.
        images : tuple of int or array-like of shape (n_samples, ...), default=None
            Images of the samples. A tuple is the ``image_shape`` of samples that are images, see
            `skdeepcluster.display.SamplesDisplay`; None draws none.
        before : fitted clusterer or array-like of shape (n_samples,), default=None
            Earlier clusterer, or the earlier clusters of the samples (-1 or None: not known): the
            report compares sizes, and says who moved.
        n_rows, n_features : int, default=5
            Number of typical and of doubtful samples of each cluster, and of features.
        random_state : int, RandomState instance or None, default=None
            See `find_medoids`.
        """
        if before is estimator:
            raise ValueError(
                "before must be an earlier fit or the earlier clusters of the samples, got the "
                "estimator itself, which moves none. Pass the labels that it gave before."
            )
        last, reached = reach_last_step(estimator, X)
        clusters = predict_clusters(last, reached)
        samples = describe_samples(estimator, X, clusters[1], feature_names, row_names)
        options = images, n_rows, n_features, random_state
        report = cls._describe_partition(last, clusters, samples, names, *options)
        if before is not None:
            n_clusters = len(report.clusters)
            report.before = match_before(before, X, report.labels, n_clusters)

        for answer in getattr(last, "alternatives_", ()):
            other = copy(last).use(answer)
            clusters = predict_clusters(other, reached)
            found = cls._describe_partition(other, clusters, samples, None, *options)
            report.others.append(found)
            changes = describe_changes(last.labels_, answer.labels, report.clusters)
            score = f"expected score {answer.expected_score:.2f}"
            report.alternatives.append(
                f"{answer.n_clusters} clusters ({score}): {changes}"
            )
        return report

    @classmethod
    def _describe_partition(
        cls,
        estimator,
        clusters,
        samples,
        names,
        images,
        n_rows,
        n_features,
        random_state,
    ):
        """Return the report of one partition of the samples."""
        labels, resp, n_clusters = clusters
        values, codes, attributes = samples
        labels = check_labels("labels", labels, values.shape[0])
        member = indicate(labels, n_clusters).toarray()
        medoids = np.full(n_clusters, -1)
        found = find_medoids(codes, labels, random_state=random_state)
        medoids[: len(found)] = found

        report = cls(
            **attributes,
            **rank_samples(codes, labels, resp, member, n_rows),
            name=type(estimator).__name__,
            clusters=choose_names(estimator, names, n_clusters),
            labels=labels,
            sizes=member.sum(0).astype(int),
            medoids=medoids,
            typical_rows=find_typical(codes, labels, medoids, n_rows),
            expected_score=getattr(estimator, "expected_score_", None),
            stability=getattr(estimator, "cluster_stability_", None),
            probabilities=None,
            features=[],
            means=None,
            differences=None,
            before=None,
            alternatives=[],
            others=[],
            pictures=[],
        )
        if resp is not None:
            report.probabilities = cluster_means(member, resp).diagonal()
        # Distances have no features.
        if report.missing is not None:
            found = compare_means(values, member)
            report.differences, report.means, _ = found
            report.features = list_features(report.feature_names, n_features, *found)
        report.examples = report._list_examples()
        if images is not None:
            report.pictures = report._draw(values, images)
        return report

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each cluster, for CSV or Markdown.

        Columns are the number of samples, the mean probability, if there is one, and the mean of
        each feature.
        """
        import pandas as pd

        index = pd.Index(self.clusters, name="cluster")
        columns = {"samples": self.sizes}
        if self.probabilities is not None:
            columns["probability"] = self.probabilities
        parts = [pd.DataFrame(columns, index=index)]
        if self.means is not None:
            # Features may have any names.
            parts.append(pd.DataFrame(self.means, index, self.feature_names))
        return pd.concat(parts, axis=1)

    def __repr__(self):
        return f"<ClusterReport of {self.to_text().splitlines()[0]}>"

    def to_text(self) -> str:
        """Return the summary as a text, with a paragraph for each cluster."""
        return write_page("report.txt", report=self)

    __str__ = to_text

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        title: str | None = None,
        rows: bool = True,
    ) -> str | None:
        """Return the summary as a page of HTML with its pictures, or write it to a path.

        ``rows=False`` leaves out names, values and images of single samples.
        """
        medoids = [
            report.medoids[report.medoids >= 0] for report in (self, *self.others)
        ]
        spots = find_spots(self.samples, self.metric, np.concatenate(medoids))
        # Distances have no features.
        names = self.feature_names[self._rank_features()] if self.features else []
        places = [row for row, _ in spots]
        return write_page(
            "report.html",
            path,
            report=self,
            title=title,
            spots=spots,
            table=self._write_samples(places, names) if rows else None,
        )

    _repr_html_ = to_html

    def _place_names(self, spots):
        """Return the names of the clusters and their places in the map."""
        rows, points = zip(*spots, strict=True)
        labels = self.labels[list(rows)]
        return place_names(np.array(points), labels, self.clusters, NAME_HEIGHT)

    def _list_moves(self):
        """Return sizes before and now, and who stayed, came and left, of each cluster."""
        if self.before is None:
            return []
        return list_moves(self.before, self.labels, self.clusters)

    def _list_examples(self):
        """Return values of the medoid and the typical samples, in the units of the table."""
        examples = []
        for k, features in enumerate(self.features):
            names = features.names
            if not len(names):
                names = self.feature_names[self._rank_features()]
            # An empty cluster has no samples.
            rows = np.append(self.medoids[k], self.typical_rows[k])[: self.sizes[k]]
            examples.append(self._write_samples(rows, names))
        return examples

    def _write_samples(self, rows, names):
        """Return the first columns that features come from, and values of samples as texts."""
        headers = {}
        for name in names:
            place, is_share, _ = self.origins[name]
            column = self.table.columns[place] if is_share else self._show_name(name)
            headers[place] = column
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
        """Return the positions of the features, first those that differ most between clusters."""
        sizes = np.abs(self.differences).max(0)
        return np.argsort(-sizes, kind="stable")

    def _profile(self):
        """Return the names of the features that differ most, their means (K,) and differences."""
        lines = []
        for i in self._rank_features()[:MAX_PROFILE] if self.features else ():
            name = self.feature_names[i]
            note = f" ({self.missing[i]:.0%} missing)" if self.missing[i] else ""
            means = self._write_means(name, self.means[:, i])
            means = np.where(self.sizes > 0, means, "")
            title = self._show_name(name) + note
            lines.append([title, *zip(means, self.differences[:, i], strict=True)])
        return lines

    def _show_name(self, name):
        """Return the name of a feature in texts, where dates are dates."""
        return name.removesuffix(f" (days since {self.origins[name][-1]})")

    def _write_means(self, name, means):
        """Return means of a feature as texts."""
        _, is_share, start = self.origins[name]
        if start is None:
            return _write_numbers(means, is_share)
        return (start + np.rint(means).astype("m8[D]")).astype(str)

    def _list_features(self, k):
        """Return name, difference, mean and mean elsewhere of the features of a cluster."""
        columns = self.features[k].values() if self.features else ()
        return zip(*columns, strict=True)

    def _list_traits(self, k):
        """Return the two columns that set a cluster apart most, in words that name it."""
        traits = {}
        for name, gap, *_ in self._list_features(k):
            column, is_share, start = self.origins[name]
            if is_share:
                words = "rarely", "often"
            else:
                words = ("low", "high") if start is None else ("early", "late")
            if abs(gap) >= (LARGE if traits else SMALL):
                shown = self._show_name(name).removesuffix(" = True")
                trait = f"{words[int(gap > 0)]} {shown}"
                traits.setdefault(column, trait)
        return list(traits.values())[:2]

    def _list_facts(self, k):
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
            facts["nearest to a border"] = [
                f"{self._name_sample(row)} (to {self.clusters[self.runner_up[row]]}, "
                f"margin {self.margin[row]:.2f})"
                for row in rows[self.margin[rows] < SURE]
            ]

        lines = self._list_differences(k)
        facts["set apart by"] = [f"{text} ({gap:+.2f} SD)" for text, gap in lines]
        return facts

    def _list_differences(self, k):
        """Return texts about the features that set a cluster apart, and their differences."""
        lines = []
        for name, gap, *means in self._list_features(k):
            if abs(gap) >= SMALL:
                mean, other = self._write_means(name, np.array(means))
                text = f"{self._show_name(name)}: {mean}, elsewhere {other}"
                lines.append((text, gap))
        return lines

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


def _write_numbers(means, is_share):
    """Return means of a feature as texts of the same number of decimals, shares in percent."""
    if is_share:
        return [f"{mean:.0%}" for mean in means]
    # Two digits tell the means apart.
    spread = np.ptp(means) or abs(means[0]) or 1
    decimals = max(1 - int(np.floor(np.log10(spread))), 0)
    # No zero has a sign.
    return [f"{mean:,.{decimals}f}" for mean in np.round(means, decimals) + 0.0]


def _write(value):
    """Return a value of a table as a text."""
    if is_missing(value):
        return "missing"
    if isinstance(value, Real) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return shorten(value)

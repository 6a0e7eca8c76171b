"""Features of partitions: each function is registered under the names of its features.

:data:`NAMES` lists all of them. A :class:`Ensemble` relates the features of a partition to those
of candidates with as many clusters.

M scored samples, D features, C partitions, R members of an ensemble, K clusters.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import entr, logsumexp

from ...input.distinct import TINY
from ...input.labels import cluster_means, number_by_first
from ...neighbors.threads import single_threaded
from ..candidates import compute_modularity, estimate_gaussians
from .constants import (
    BEST,
    COMPARED,
    HIGH,
    MIN_SPREAD,
    N_NEAREST,
    ONE_FEATURES,
    ONE_NUMBERS,
)


class FeatureGroup:
    """Functions of the same arguments, by the names of the features that they return."""

    def __init__(self):
        self.functions = {}

    def add(self, *names):
        """Return a decorator that registers a function of the features with these names."""

        def register(function):
            self.functions[names] = function
            return function

        return register

    @property
    def names(self):
        """Names of all features, in the order of their values."""
        return [name for names in self.functions for name in names]

    def compute(self, *arguments):
        """Return the values of all features as a list."""
        values = []
        for function in self.functions.values():
            values.extend(function(*arguments))
        return values


#: Functions of coordinates, distances (M, k) to neighbors, and numbers of features and samples.
OF_DATA = FeatureGroup()
#: Functions of :class:`~.measurements.Measured` and :class:`Clusters`.
OF_SAMPLES = FeatureGroup()
#: Functions of a :class:`~.measurements.Space`, clusters, and :class:`Distances`.
OF_SPACE = FeatureGroup()
#: Functions of :class:`~.measurements.Densities` and clusters.
OF_DENSITY = FeatureGroup()
#: Functions of a :class:`~skdeepcluster.partition.table.MixedColumns` and clusters.
OF_TABLE = FeatureGroup()
#: Functions of the agreement (R,) with the members of an ensemble, and their methods (R,).
OF_AGREEMENT = FeatureGroup()


class Clusters(NamedTuple):
    """A partition, whose clusters may be empty."""

    #: Labels (M,).
    labels: np.ndarray
    #: The labels as one-hot columns (M, K).
    member: np.ndarray

    @property
    def n_clusters(self):
        """Number of clusters."""
        return self.member.shape[1]

    @property
    def sizes(self):
        """Sizes (K,) of the clusters."""
        return self.member.sum(0)

    def average(self, values):
        """Return the means (K,) of values (M,) in clusters, zero for empty ones."""
        return self.member.T @ values / self.sizes.clip(1)

    def find_least(self, values):
        """Return the lowest mean of values (M,) in a cluster."""
        return self.average(values)[self.sizes > 0].min()


class Distances(NamedTuple):
    """Distances of points to the centers of clusters."""

    #: Centers (K, D).
    centers: np.ndarray
    #: Distances (M,) to the own center.
    near: np.ndarray
    #: Distances (M,) to the nearest other center.
    far: np.ndarray
    #: Cluster (M,) of this center.
    other: np.ndarray


# ---- the data set


@OF_DATA.add("log n", "log N", "log D", "dimension", "narrow share", "categories")
def describe_data(coords, distances, n_features, n_samples):
    """Return features of a data set."""
    wide = coords.wide
    # Samples of the same direction are one point with metric="cosine".
    variance = max(wide.var(0).sum(), TINY)
    table = coords.table
    return (
        np.log(len(wide)),
        np.log(n_samples),
        np.log(n_features),
        _estimate_dimension(distances),
        coords.narrow.var(0).sum() / variance,
        -1.0 if table is None else table.share_of_categories,
    )


def _estimate_dimension(distances):
    """Return the intrinsic dimension by distances (M, k) to neighbors, ascending.

    E. Levina, P. J. Bickel, "Maximum Likelihood Estimation of Intrinsic Dimension", NIPS 2004.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(distances[:, -1:] / distances[:, :-1])

    ratios = ratios[np.isfinite(ratios)]
    return 1 / max(ratios.mean(), 1e-2) if len(ratios) else 1.0


# ---- sizes, and the graph


@OF_SAMPLES.add("entropy", "smallest", "largest")
def compare_sizes(measured, clusters):
    """Return features of the sizes of clusters."""
    sizes = clusters.sizes
    shares = clusters.member.mean(0)
    n_clusters = clusters.n_clusters
    n_samples = len(clusters.labels)

    entropy = entr(shares).sum() / np.log(n_clusters)
    smallest = np.log((sizes.min() + 0.5) * n_clusters / n_samples)
    largest = shares.max() * n_clusters
    return entropy, smallest, largest


@OF_SAMPLES.add("cut", "modularity", "conductance", "weakest pair")
def cut_graph(measured, clusters):
    """Return features of the edges between clusters in the graph of all samples.

    They are the normalized cut per cluster, as a logarithm (J. Shi, J. Malik, "Normalized Cuts and
    Image Segmentation", IEEE TPAMI 2000), the modularity, the largest share of the edges of a
    cluster that leave it, and the largest share that lead to one other cluster.
    """
    joint = measured.whole.join(clusters.labels, clusters.n_clusters)
    volumes = joint.sum(1).clip(TINY)
    leaving = 1 - joint.diagonal() / volumes
    between = joint / np.minimum(volumes[:, None], volumes)
    np.fill_diagonal(between, 0)
    cut = np.log(leaving.mean() + 1e-3)
    return cut, compute_modularity(joint), leaving.max(), between.max()


@OF_SAMPLES.add("purity", "nearest purity", "least purity", "linear")
def classify(measured, clusters):
    """Return the shares of neighbors that agree, and the accuracy of a linear classifier."""
    labels = clusters.labels
    same = labels[measured.neighbors] == labels[:, None]
    least = clusters.find_least(same.mean(1))

    points, solution, leverages = measured.ridge
    fitted = points @ (solution @ clusters.member)
    left_out = fitted - leverages[:, None] * clusters.member
    accuracy = (left_out.argmax(1) == labels).mean()
    return same.mean(), same[:, :N_NEAREST].mean(), least, accuracy


@OF_SAMPLES.add("tree gap", "tree rank", "reach gap", "reach rank")
def compare_lengths(measured, clusters):
    """Return how much longer edges between clusters are than others, and their mean ranks."""
    edges = measured.edges
    crossing = _find_crossing(edges, clusters)
    if crossing.all() or not crossing.any():
        return 0.0, 0.0, 0.0, 0.0

    features = []
    for lengths in (edges.lengths, edges.reach):
        gap = lengths[crossing].mean() - lengths[~crossing].mean()
        ranks = np.searchsorted(np.sort(lengths), lengths[crossing])
        features += [gap, ranks.mean() / len(lengths)]
    return features


@OF_SAMPLES.add("density", "least density", "crossings")
def compare_reach(measured, clusters):
    """Return by how much a cluster's shortest crossing edge exceeds its longest inner one."""
    edges = measured.edges
    labels = clusters.labels
    reach = edges.reach
    n_clusters = clusters.n_clusters
    crossing = _find_crossing(edges, clusters)

    inner = np.full(n_clusters, -np.inf)
    np.maximum.at(inner, labels[edges.i][~crossing], reach[~crossing])
    outer = np.full(n_clusters, np.inf)
    for ends in (edges.i, edges.j):
        np.minimum.at(outer, labels[ends][crossing], reach[crossing])

    known = np.isfinite(inner) & np.isfinite(outer)
    density = np.zeros(n_clusters)
    density[known] = np.clip(outer[known] - inner[known], -5, 5)
    crossings = np.log(crossing.sum() + 1) - np.log(n_clusters)
    return clusters.member.mean(0) @ density, density.min(), crossings


def _find_crossing(edges, clusters):
    """Return which edges (M - 1,) are between clusters."""
    return clusters.labels[edges.i] != clusters.labels[edges.j]


# ---- distances and Gaussians


def measure_distances(points, clusters):
    """Return the :class:`Distances` of points (M, D)."""
    centers = cluster_means(clusters.member, points)
    squares = np.square(points).sum(1)[:, None]
    squares = squares - 2 * points @ centers.T
    squares = (squares + np.square(centers).sum(1)).clip(0)

    is_inside = clusters.member > 0
    near = np.sqrt(squares[is_inside])
    squares[is_inside] = np.inf
    far = np.sqrt(squares.min(1))
    return Distances(centers, near, far, squares.argmin(1))


@OF_SPACE.add("silhouette", "least silhouette", "misplaced")
def average_silhouettes(space, clusters, distances):
    """Return means of the silhouettes, and the share of negative ones."""
    _, near, far, _ = distances
    silhouettes = (far - near) / np.maximum(near, far).clip(1e-12)
    least = clusters.find_least(silhouettes)
    return silhouettes.mean(), least, (silhouettes < 0).mean()


@OF_SPACE.add("border", "valley")
def compare_borders(space, clusters, distances):
    """Return the share of points on borders, and its ratio to the share in the middle."""
    centers, near, far, other = distances
    # Position along the line from its center (0) to the nearest other one (1).
    gaps = np.square(centers[clusters.labels] - centers[other]).sum(1).clip(1e-12)
    position = 0.5 + (near**2 - far**2) / (2 * gaps)

    border = (position > 0.4).mean()
    core = (np.abs(position) < 0.1).mean()
    return border, np.log((border + 1e-3) / (core + 1e-3))


@OF_SPACE.add("calinski", "davies", "within")
def compare_spread(space, clusters, distances):
    """Return features of the squared distances to the own centers."""
    n_samples = len(clusters.labels)
    n_clusters = clusters.n_clusters
    squares = np.square(distances.near)
    within = squares.mean()
    total = np.square(space.points).sum(1).mean()
    calinski = max(total - within, 1e-12) / max(within, 1e-12)
    calinski = calinski * max(n_samples - n_clusters, 1) / (n_clusters - 1)

    centers = distances.centers
    spread = np.sqrt(clusters.average(squares))
    between = np.square(centers[:, None] - centers).sum(2)
    np.fill_diagonal(between, np.inf)
    ratios = (spread[:, None] + spread) / np.sqrt(between.clip(1e-24))
    davies = max(ratios.max(1).mean(), 1e-12)

    share = max(within / max(total, 1e-12), 1e-12)
    return np.log(calinski), np.log(davies), np.log(share)


@OF_SPACE.add("full", "tied", "diag", "full bic", "tied bic", "diag bic")
def compare_gaussians(space, clusters, distances):
    """Return gains in mean log-likelihood of a Gaussian per cluster over a single one."""
    member = clusters.member
    n_features = len(space.covariance)
    sizes, _, inner = estimate_gaussians(member, space.monomials, n_features, "full")
    shares = sizes / sizes.sum()
    noise = np.trace(space.covariance) / n_features * 1e-3
    pooled = np.einsum("k,kij->ij", shares, inner) + noise * np.eye(n_features)

    shrunk = sizes[:, None, None] * inner + (n_features + 1) * pooled
    shrunk /= (sizes + n_features + 1)[:, None, None]

    slogdet = np.linalg.slogdet
    base = slogdet(space.covariance)[1] / 2 - entr(shares).sum()
    variances = np.einsum("kii->ki", shrunk).clip(1e-300)
    full = base - shares @ slogdet(shrunk)[1] / 2
    tied = base - slogdet(pooled)[1] / 2
    diag = base - shares @ np.log(variances).sum(1) / 2

    gains = np.array([full, tied, diag])
    n_full = n_features * (n_features + 3) // 2
    n_free = np.array([n_full, n_features, 2 * n_features]) + 1
    return *gains, *(gains - n_free * _price_clusters(*member.shape))


def _price_clusters(n_samples, n_clusters):
    """Return the price by BIC, in nats per sample, of one parameter for each added cluster."""
    return np.log(n_samples) / (2 * n_samples) * (n_clusters - 1)


# ---- densities


@OF_DENSITY.add("saddle density", "median saddle density", "mean saddle density")
def compare_saddles(densities, clusters):
    """Return how dense the borders of clusters are, relative to the lower of two peaks.

    A border has the links between two clusters. Near one, there is no valley: the two may be one.
    Densities are high quantiles, or medians, of which the largest ratio of all pairs is returned,
    and the mean of the largest ratio of each cluster.
    """
    n_clusters = clusters.n_clusters
    i = clusters.labels[densities.i]
    j = clusters.labels[densities.j]
    crossing = i != j
    if not crossing.any():
        return 0.0, 0.0, 0.0

    low = np.minimum(i, j)[crossing]
    high = np.maximum(i, j)[crossing]
    pairs, pair = np.unique(low * n_clusters + high, return_inverse=True)
    ends = pairs // n_clusters, pairs % n_clusters
    cluster = clusters.labels[densities.order]
    border = densities.border[crossing]

    def compare(share):
        peaks = _find_quantiles(cluster, densities.values, share, n_clusters)
        lower = np.minimum(peaks[ends[0]], peaks[ends[1]])
        return _find_quantiles(pair, border, share, len(pairs)) / lower

    medians = compare(0.5)
    largest = np.zeros(n_clusters)
    for cluster_of_pair in ends:
        np.maximum.at(largest, cluster_of_pair, medians)
    return compare(HIGH).max(), medians.max(), largest.mean()


def _find_quantiles(groups, values, share, n_groups):
    """Return the quantiles (G,) of ascending values in groups, zero for empty ones."""
    sizes = np.bincount(groups, minlength=n_groups)
    first = np.cumsum(sizes) - sizes
    places = first + (share * (sizes - 1)).clip(0).astype(int)

    order = np.argsort(groups, kind="stable")
    quantiles = values[order[places.clip(max=len(values) - 1)]]
    return np.where(sizes > 0, quantiles, 0.0)


# ---- tables


@OF_TABLE.add(
    "numbers explained",
    "categories explained",
    "most explained",
    "second explained",
)
def explain_columns(table, clusters):
    """Return the shares of the variance of numbers and categories that is between clusters."""
    columns = table.columns
    means = cluster_means(clusters.member, columns)
    between = clusters.sizes @ np.square(means - columns.mean(0)) / len(columns)
    totals = np.bincount(table.owners, columns.var(0)).clip(1e-12)
    shares = np.bincount(table.owners, between) / totals

    numbers = shares[: table.n_numbers]
    categories = shares[table.n_numbers :]
    second, first = np.sort(np.append(shares, 0.0))[-2:]
    return (
        numbers.mean() if len(numbers) else 0.0,
        categories.mean() if len(categories) else 0.0,
        first,
        second,
    )


@OF_TABLE.add("classes", "classes bic", "confidence", "least confidence")
def compare_classes(table, clusters):
    """Return the gain of latent classes, and the probability of the own class of a sample.

    The gain is in mean log-likelihood over a single class, without and with its price by BIC.
    """
    member = clusters.member
    densities = table.score_classes(member)
    inner = (densities * member).sum(1)
    gain = inner.mean() - table.single_class

    n_free = 2 * table.n_numbers + sum(len(group) - 1 for group in table.groups) + 1
    price = _price_clusters(*member.shape) * n_free
    confidence = np.exp(inner - logsumexp(densities, axis=1))
    return gain, gain - price, confidence.mean(), clusters.find_least(confidence)


# ---- other partitions


@OF_AGREEMENT.add("agreement", "best agreement", *(f"with {name}" for name in COMPARED))
def compare_agreement(agreement, methods):
    """Return mean agreement with all members of an ensemble, the best ones, and some methods."""
    features = [agreement.mean(), np.sort(agreement)[-BEST:].mean()]
    for name in COMPARED:
        own = agreement[methods == name]
        features.append(own.sum() / max(len(own), 1))
    return features


def measure_agreement(labels, known):
    """Return the adjusted Rand index of partitions (C, M) with known ones (R, M), as (C, R)."""
    n_samples = labels.shape[1]
    codes = labels * (known.max() + 1)
    both = np.array([[_count_pairs(one + other) for other in known] for one in codes])
    pairs = np.array([[_count_pairs(row)] for row in labels])
    known_pairs = np.array([_count_pairs(row) for row in known])

    chance = pairs * known_pairs / (n_samples * (n_samples - 1))
    most = (pairs + known_pairs) / 2
    index = (both - chance) / (most - chance).clip(1e-12)
    return np.where(most > chance, index, 1.0)


def _count_pairs(labels):
    """Return the number of ordered pairs of samples with equal labels (M,)."""
    sizes = np.bincount(labels).astype(float)
    return (sizes * (sizes - 1)).sum()


# ---- all features

#: Names (V,) of what is measured of a partition.
VALUE_NAMES = [
    *OF_SAMPLES.names,
    *(f"points {name}" for name in OF_SPACE.names),
    *(f"embedding {name}" for name in OF_SPACE.names),
    *(f"points {name}" for name in OF_DENSITY.names),
    *(f"embedding {name}" for name in OF_DENSITY.names),
    *OF_TABLE.names,
    *OF_AGREEMENT.names,
]
#: Names (F,) of the features: values, these relative to an ensemble, and features of the data set.
NAMES = [
    *VALUE_NAMES,
    *(f"{name}, standardized" for name in VALUE_NAMES),
    *(f"{name}, rank" for name in VALUE_NAMES),
    "cut, above lowest",
    "modularity, below highest",
    *OF_DATA.names,
    "log K",
    "mean agreement",
]
#: Names of the features that tell whether there is one cluster.
ONE_NAMES = [
    *OF_DATA.names,
    *(f"{k} clusters: {name}" for k in ONE_NUMBERS for name in ONE_FEATURES),
]


class Ensemble:
    """Candidates with the same number of clusters, with which partitions are compared."""

    def __init__(self, measured, candidates, n_clusters):
        self.measured = measured
        self.n_clusters = n_clusters
        methods, labels = zip(*candidates, strict=True)
        #: Methods (R,) that found the candidates, and their clusters (R, M).
        self.methods = np.array(methods)
        self.labels = np.array(labels)
        #: Agreement (R, R) of each pair.
        self.agreement = measure_agreement(self.labels, self.labels)
        #: What is measured of the candidates, (R, V), see VALUE_NAMES.
        self.values = self._measure(self.labels, self.agreement)
        #: Features (R, F) of the candidates, see NAMES.
        self.features = self._relate(self.values)

    def compare(self, labels):
        """Return the features (C, F) of partitions (C, M) of two clusters or more.

        Equal partitions have equal features, wherever they come from.
        """
        agreement = measure_agreement(labels, self.labels)
        return self._relate(self._measure(labels, agreement))

    def get_values(self, name):
        """Return what is measured of the candidates under this name, (R,)."""
        return self.values[:, VALUE_NAMES.index(name)]

    def _relate(self, values):
        """Return the features (C, F) by what is measured of partitions, (C, V)."""
        known = self.values
        standard = (values - known.mean(0)) / (known.std(0) + MIN_SPREAD)
        lower = (known < values[:, None]).mean(1)
        equal = (known == values[:, None]).mean(1)
        ranks = lower + equal / 2

        shared = [
            *self.measured.data.values(),
            np.log(self.n_clusters),
            self.agreement.mean(),
        ]
        data = np.tile(shared, (len(values), 1))
        cut, modularity = map(VALUE_NAMES.index, ["cut", "modularity"])
        above = values[:, [cut]] - known[:, cut].min()
        below = values[:, [modularity]] - known[:, modularity].max()
        relative = [values, standard.clip(-20, 20), ranks, above, below]
        features = np.hstack([*relative, data])
        return features.astype(np.float32)

    def _measure(self, labels, agreement):
        """Return what is measured of partitions, (C, V), with their ``agreement`` (C, R)."""
        # Several methods often find the same partition.
        renamed = np.array([number_by_first(row) for row in labels])
        _, first, inverse = np.unique(
            renamed, axis=0, return_index=True, return_inverse=True
        )
        with single_threaded("blas"):
            rows = [self._describe(renamed[i], agreement[i]) for i in first]
        values = np.array(rows)[inverse.ravel()]
        # Rounding hides the rounding errors of sums.
        return np.nan_to_num(values.round(5))

    def _describe(self, labels, agreement):
        """Return what is measured of a partition (M,), with its ``agreement`` (R,)."""
        measured = self.measured
        clusters = Clusters(labels, np.eye(self.n_clusters)[labels])
        in_points, *in_embeddings = [
            OF_SPACE.compute(space, clusters, measure_distances(space.points, clusters))
            for space in measured.spaces
        ]
        explained = [0.0] * len(OF_TABLE.names)
        if measured.table is not None:
            explained = OF_TABLE.compute(measured.table, clusters)
        return [
            *OF_SAMPLES.compute(measured, clusters),
            *in_points,
            *np.mean(in_embeddings, axis=0),
            *OF_DENSITY.compute(measured.densities[0], clusters),
            *OF_DENSITY.compute(measured.densities[1], clusters),
            *explained,
            *OF_AGREEMENT.compute(agreement, self.methods),
        ]


def describe_one(data, features, scores):
    """Return the features that tell whether there is one cluster, see ONE_NAMES.

    ``data`` are features of the data set by name. For some numbers of clusters, ``features`` are
    those (R, F) of the members of an :class:`Ensemble`, and ``scores`` their expected scores (R,).
    """
    found = list(data.values())
    for k in ONE_NUMBERS:
        best = dict.fromkeys(ONE_FEATURES, 0.0)
        if k in features:
            row = features[k][scores[k].argmax()]
            best = dict(zip(NAMES, row, strict=True))
            best["score"] = scores[k].max()
        found += [best[name] for name in ONE_FEATURES]
    return np.array(found, dtype=np.float32)

"""Features of partitions that :mod:`.selection` uses to predict their scores.

:func:`measure_samples` measures a data set, and an :class:`Ensemble` compares partitions of it
with candidates that have as many clusters.

M scored samples, D features, C partitions, R members of an ensemble, K clusters.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh
from scipy.special import entr

from ..input.distinct import TINY
from ..input.labels import cluster_means
from ..neighbors.graph import link_neighbors, scale_links, sum_links
from ..neighbors.search import NeighborIndex
from ..neighbors.threads import single_threaded
from .candidates import estimate_gaussians, make_monomials
from .coordinates import spanning_tree
from .table import TABLE_FEATURES, Table

#: Methods whose agreement with a candidate is a feature.
COMPARED = (
    "kmeans",
    "white kmeans",
    "full",
    "classes",
    "genie",
    "layout ward",
    "layout merged",
)
#: Number of eigenvectors that represent the walk on the graph.
N_EIGENVECTORS = 50
#: Numbers of steps of walks by these eigenvectors.
STEPS = 2, 6, 16, 64
#: Number of members of an ensemble with which a partition agrees best.
BEST = 5
#: Added to the standard deviations of an ensemble.
MIN_SPREAD = 0.01
#: Quantile of the densities in a cluster, or on a border, that stands for the highest.
HIGH = 0.9
#: Ridge penalty of the linear classifier, relative to the variance of the samples.
PENALTY = 0.1


class Space(NamedTuple):
    """Points in narrow coordinates or in a layout."""

    #: Centered points (M, D).
    points: np.ndarray
    #: Monomials (M, F) of the points before centering.
    monomials: np.ndarray
    #: Regularized covariance (D, D).
    covariance: np.ndarray


class Edges(NamedTuple):
    """Edges of the spanning tree."""

    #: Ends (M - 1,).
    i: np.ndarray
    j: np.ndarray
    #: Logarithms (M - 1,) of the lengths.
    lengths: np.ndarray
    #: Logarithms (M - 1,) of the mutual reachability distances.
    reach: np.ndarray


class Densities(NamedTuple):
    """Densities of the samples, 1 / mean distance to their neighbors, and on links to these."""

    #: Positions (M,) of the samples, ascending by density, and their densities.
    order: np.ndarray
    values: np.ndarray
    #: Ends (E,) of the links, ascending by the lower density of both, and these densities.
    i: np.ndarray
    j: np.ndarray
    border: np.ndarray


class Measured(NamedTuple):
    """Values of the scored samples that all candidates share."""

    #: :class:`Space` of the narrow coordinates, then of each layout.
    spaces: list
    #: Neighbor graph (M, M).
    graph: sparse.csr_matrix
    #: What :func:`_find_spectrum` returns.
    spectrum: tuple
    #: Positions (M, k) of the nearest other samples.
    neighbors: np.ndarray
    edges: Edges
    #: :class:`Densities` among the samples, then in the first layout.
    densities: list
    #: What :func:`_solve_ridge` returns.
    ridge: tuple
    #: Numbers and categories of a table, or None.
    table: Table | None
    #: Features of the data set, by name.
    data: dict


# ---- the data set


def measure_samples(coords, n_features, n_samples):
    """Return :class:`Measured` for the coordinates of the scored ones of N samples."""
    wide = coords.wide
    nearest = NeighborIndex(wide).query(15)
    distances, neighbors = nearest
    # Without features, the samples are the layout.
    in_layout = nearest
    if coords.has_features:
        in_layout = NeighborIndex(coords.layouts[0]).query(15)
    graph = link_neighbors(distances, neighbors)

    # Samples of the same direction are one point with metric="cosine".
    variance = max(wide.var(0).sum(), TINY)
    data = {
        "log n": np.log(len(wide)),
        "log N": np.log(n_samples),
        "log D": np.log(n_features),
        "dimension": _estimate_dimension(distances),
        "narrow share": coords.narrow.var(0).sum() / variance,
        "has features": float(coords.has_features),
        "categories": -1.0
        if coords.table is None
        else coords.table.share_of_categories,
    }
    return Measured(
        [_make_space(points) for points in (coords.narrow, *coords.layouts)],
        graph,
        _find_spectrum(graph),
        neighbors,
        _find_edges(wide, distances, neighbors),
        [_find_densities(*each) for each in (nearest, in_layout)],
        _solve_ridge(wide),
        coords.table,
        data,
    )


def _estimate_dimension(distances):
    """Return the intrinsic dimension by distances (M, k) to neighbors, ascending.

    E. Levina, P. J. Bickel, "Maximum Likelihood Estimation of Intrinsic Dimension", NIPS 2004.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(distances[:, -1:] / distances[:, :-1])

    ratios = ratios[np.isfinite(ratios)]
    return 1 / max(ratios.mean(), 1e-2) if len(ratios) else 1.0


def _make_space(points):
    """Return the :class:`Space` of points (M, D)."""
    n_features = points.shape[1]
    covariance = np.cov(points.T, bias=True).reshape(n_features, -1)
    covariance = covariance + 1e-6 * np.eye(n_features) * np.trace(covariance)

    return Space(points - points.mean(0), make_monomials(points), covariance)


def _find_spectrum(graph):
    """Return the largest eigenvalues of the walk on a graph, and what belongs to them.

    The values (E,) are at least zero and ascending. Eigenvectors (M, E) are multiplied by the
    square roots of the stationary probabilities.
    """
    degrees = sum_links(graph)
    n_samples = len(degrees)
    steps = scale_links(graph, 1 / np.sqrt(degrees))

    with single_threaded("blas"):
        if n_samples <= 5 * N_EIGENVECTORS:
            values, vectors = np.linalg.eigh(steps.toarray())
        else:
            options = {"which": "LA", "v0": np.ones(n_samples), "tol": 1e-3}
            values, vectors = eigsh(steps, N_EIGENVECTORS, **options)

    values = values[-N_EIGENVECTORS:].clip(0, 1)
    vectors = vectors[:, -N_EIGENVECTORS:]
    stationary = degrees / degrees.sum()
    return values, vectors * np.sqrt(stationary)[:, None]


def _find_edges(points, distances, neighbors):
    """Return the :class:`Edges` of points (M, D) whose nearest neighbors are known."""
    i, j, lengths = spanning_tree(points, (distances, neighbors))
    core = distances[:, :5].max(1)
    reach = np.maximum.reduce([lengths, core[i], core[j]])

    return Edges(i, j, np.log(lengths.clip(TINY)), np.log(reach.clip(TINY)))


def _find_densities(distances, neighbors):
    """Return the :class:`Densities` of samples by distances (M, k) to their neighbors."""
    density = 1 / distances.mean(1).clip(TINY)
    order = np.argsort(density, kind="stable")

    i = np.repeat(np.arange(len(density)), neighbors.shape[1])
    j = neighbors.ravel()
    border = np.minimum(density[i], density[j])
    links = np.argsort(border, kind="stable")
    return Densities(order, density[order], i[links], j[links], border[links])


def _solve_ridge(wide):
    """Return the ridge regression on samples (M, D) with which a linear classifier is fitted.

    It consists of the samples and a constant, (M, D + 1), the matrix (D + 1, M) that maps targets
    to coefficients, and the leverages (M,).
    """
    n_samples, n_features = wide.shape
    scale = max(np.sqrt(wide.var(0).sum()), 1e-12)
    points = np.hstack([wide / scale, np.ones((n_samples, 1))])
    penalty = PENALTY * n_samples / 100 / n_features * np.eye(n_features + 1)

    with single_threaded("blas"):
        solution = np.linalg.solve(points.T @ points + penalty, points.T)

    return points, solution, np.einsum("ij,ji->i", points, solution)


# ---- partitions


def describe_partition(measured, labels, n_clusters):
    """Return the features of a partition (M,) by name."""
    member = np.eye(n_clusters)[labels]
    spaces = [_describe_space(space, labels, member) for space in measured.spaces]

    features = _describe_sizes(member)
    for name in spaces[0]:
        features[f"points {name}"] = spaces[0][name]
    for name in spaces[0]:
        features[f"layout {name}"] = np.mean([space[name] for space in spaces[1:]])

    features |= _describe_walk(measured, member)
    features |= _describe_neighbors(measured, labels, member)
    features |= _describe_edges(measured.edges, labels, member)
    for name, densities in zip(("points", "layout"), measured.densities, strict=True):
        for pair, value in _describe_pairs(densities, labels, n_clusters).items():
            features[f"{name} {pair}"] = value
    explained = dict.fromkeys(TABLE_FEATURES, 0.0)
    if measured.table is not None:
        explained = measured.table.describe(member)
    return features | explained


def _describe_sizes(member):
    """Return features of the sizes of clusters, one-hot (M, K)."""
    n_samples, n_clusters = member.shape
    sizes = member.sum(0)
    shares = member.mean(0)

    return {
        "entropy": entr(shares).sum() / np.log(n_clusters),
        "smallest": np.log((sizes.min() + 0.5) * n_clusters / n_samples),
        "largest": shares.max() * n_clusters,
    }


def _describe_space(space, labels, member):
    """Return features of the distances to the centers of clusters, and of Gaussians."""
    points = space.points
    centers = cluster_means(member, points)

    squares = np.square(points).sum(1)[:, None]
    squares = squares - 2 * points @ centers.T
    squares = (squares + np.square(centers).sum(1)).clip(0)

    is_inside = member > 0
    inner = squares[is_inside]
    squares[is_inside] = np.inf
    other = squares.argmin(1)
    near = np.sqrt(inner)
    far = np.sqrt(squares.min(1))

    silhouettes = (far - near) / np.maximum(near, far).clip(1e-12)
    by_cluster = _average_by_cluster(silhouettes, member)[member.any(0)]

    # Position along the line from its center (0) to the nearest other one (1).
    gaps = np.square(centers[labels] - centers[other]).sum(1).clip(1e-12)
    place = 0.5 + (near**2 - far**2) / (2 * gaps)
    border = (place > 0.4).mean()
    core = (np.abs(place) < 0.1).mean()

    return {
        "silhouette": silhouettes.mean(),
        "least silhouette": by_cluster.min(),
        "misplaced": (silhouettes < 0).mean(),
        "border": border,
        "valley": np.log((border + 1e-3) / (core + 1e-3)),
        **_describe_spread(points, inner, centers, member),
        **_describe_gaussians(space, member),
    }


def _average_by_cluster(values, member):
    """Return the means (K,) of values (M,) in clusters, zero for empty ones."""
    return (member * values[:, None]).sum(0) / member.sum(0).clip(1)


def _describe_spread(points, squares, centers, member):
    """Return features of the squared distances (M,) to the centers."""
    n_samples, n_clusters = member.shape
    within = squares.mean()
    total = np.square(points).sum(1).mean()
    ratio = max(total - within, 1e-12) / max(within, 1e-12)
    ratio = ratio * max(n_samples - n_clusters, 1) / (n_clusters - 1)

    spread = np.sqrt(_average_by_cluster(squares, member))
    between = np.square(centers[:, None] - centers).sum(2)
    np.fill_diagonal(between, np.inf)
    ratios = (spread[:, None] + spread) / np.sqrt(between.clip(1e-24))

    return {
        "calinski": np.log(ratio),
        "davies": np.log(max(ratios.max(1).mean(), 1e-12)),
        "within": np.log(max(within / max(total, 1e-12), 1e-12)),
    }


def _describe_gaussians(space, member):
    """Return gains in mean log-likelihood of a Gaussian per cluster over a single one."""
    n_samples, n_clusters = member.shape
    n_features = len(space.covariance)
    sizes, _, inner = estimate_gaussians(member, space.monomials, n_features, "full")
    shares = sizes / sizes.sum()
    pooled = np.einsum("k,kij->ij", shares, inner)
    noise = np.trace(space.covariance) / n_features * 1e-3
    pooled = pooled + noise * np.eye(n_features)

    shrunk = sizes[:, None, None] * inner + (n_features + 1) * pooled
    shrunk /= (sizes + n_features + 1)[:, None, None]

    slogdet = np.linalg.slogdet
    base = slogdet(space.covariance)[1] / 2
    base = base - entr(shares).sum()
    variances = np.einsum("kii->ki", shrunk).clip(1e-300)

    full = base - shares @ slogdet(shrunk)[1] / 2
    tied = base - slogdet(pooled)[1] / 2
    diag = base - shares @ np.log(variances).sum(1) / 2

    price = np.log(n_samples) / (2 * n_samples) * (n_clusters - 1)
    return {
        "full": full,
        "tied": tied,
        "diag": diag,
        "full bic": full - price * (n_features * (n_features + 3) // 2 + 1),
        "tied bic": tied - price * (n_features + 1),
        "diag bic": diag - price * (2 * n_features + 1),
    }


def _describe_walk(measured, member):
    """Return features of the edges between clusters and of walks along the edges."""
    joint = member.T @ (measured.graph @ member)
    volumes = joint.sum(1)
    inside = np.diag(joint)

    is_used = volumes > 0
    leaving = 1 - inside[is_used] / volumes[is_used]
    cut = 1 - inside.sum() / joint.sum()
    shares = volumes / volumes.sum()
    features = {
        "cut": np.log(cut + 1e-3),
        "modularity": 1 - cut - np.square(shares).sum(),
        "worst conductance": leaving.max(),
        "conductance": leaving.mean(),
    }

    values, vectors = measured.spectrum
    parts = vectors.T @ member
    for steps in STEPS:
        powers = values[:, None] ** steps
        features |= _describe_ends((parts * powers).T @ parts, steps)
    return features


def _describe_ends(ends, steps):
    """Return the information I(c_0; c_t) of clusters (K, K), its share of H(c_0), their product.

    M. Faccin, M. T. Schaub, J.-C. Delvenne, "Entrograms and coarse graining of dynamics on complex
    networks", Journal of Complex Networks, 2018.
    """
    ends = ends.clip(0)
    ends = ends / ends.sum()

    entropy = entr(ends.sum(0)).sum()
    information = 2 * entropy - entr(ends).sum()
    share = information / max(entropy, 1e-9)

    return {
        f"information {steps}": information,
        f"remembered {steps}": share,
        f"criterion {steps}": information * share,
    }


def _describe_neighbors(measured, labels, member):
    """Return the share of neighbors that agree, and the accuracy of a linear classifier."""
    same = labels[measured.neighbors] == labels[:, None]
    by_cluster = member.T @ same.mean(1) / member.sum(0).clip(1)

    points, solution, leverages = measured.ridge
    left_out = points @ (solution @ member) - leverages[:, None] * member

    return {
        "purity": same.mean(),
        "nearest purity": same[:, :5].mean(),
        "least purity": by_cluster[member.any(0)].min(),
        "linear": (left_out.argmax(1) == labels).mean(),
    }


def _describe_edges(edges, labels, member):
    """Return the lengths of edges between clusters relative to the others."""
    n_clusters = member.shape[1]
    crossing = labels[edges.i] != labels[edges.j]
    density = _compare_reach(edges, labels, crossing, n_clusters)

    return {
        **_compare_lengths("tree", edges.lengths, crossing),
        **_compare_lengths("reach", edges.reach, crossing),
        "density": member.mean(0) @ density,
        "least density": density.min(),
        "crossings": np.log(crossing.sum() + 1) - np.log(n_clusters),
    }


def _compare_lengths(name, lengths, crossing):
    """Return how much longer crossing edges are than others, and their mean rank."""
    gap = rank = 0.0
    if crossing.any() and not crossing.all():
        gap = lengths[crossing].mean() - lengths[~crossing].mean()
        ranks = np.searchsorted(np.sort(lengths), lengths[crossing])
        rank = ranks.mean() / len(lengths)
    return {f"{name} gap": gap, f"{name} rank": rank}


def _compare_reach(edges, labels, crossing, n_clusters):
    """Return, for each cluster, its shortest crossing edge minus its longest inner one, (K,)."""
    reach = edges.reach
    inner = np.full(n_clusters, -np.inf)
    outer = np.full(n_clusters, np.inf)
    np.maximum.at(inner, labels[edges.i][~crossing], reach[~crossing])
    for ends in (edges.i, edges.j):
        np.minimum.at(outer, labels[ends][crossing], reach[crossing])

    known = np.isfinite(inner) & np.isfinite(outer)
    density = np.zeros(n_clusters)
    density[known] = np.clip(outer[known] - inner[known], -5, 5)
    return density


def _describe_pairs(densities, labels, n_clusters):
    """Return how dense the borders of clusters are, relative to the lower of two peaks.

    A border has the links between two clusters. Near one, there is no valley: the two may be one.
    Densities are high quantiles, or medians, of which the largest ratio of all pairs is returned,
    and the mean of the largest ratio of each cluster.
    """
    i = labels[densities.i]
    j = labels[densities.j]
    crossing = i != j
    if not crossing.any():
        return {"weakest pair": 0.0, "weakest median": 0.0, "mean pair": 0.0}

    low = np.minimum(i, j)[crossing]
    high = np.maximum(i, j)[crossing]
    pairs, places = np.unique(low * n_clusters + high, return_inverse=True)
    ends = pairs // n_clusters, pairs % n_clusters
    inner = labels[densities.order]
    border = densities.border[crossing]

    ratios = []
    for share in (HIGH, 0.5):
        peaks = _cut_groups(inner, densities.values, share, n_clusters)
        lower = np.minimum(peaks[ends[0]], peaks[ends[1]])
        ratios.append(_cut_groups(places, border, share, len(pairs)) / lower)

    weakest = np.zeros(n_clusters)
    for cluster in ends:
        np.maximum.at(weakest, cluster, ratios[1])
    return {
        "weakest pair": ratios[0].max(),
        "weakest median": ratios[1].max(),
        "mean pair": weakest.mean(),
    }


def _cut_groups(groups, values, share, n_groups):
    """Return the quantiles (G,) of ascending values in groups, zero for empty ones."""
    sizes = np.bincount(groups, minlength=n_groups)
    order = np.argsort(groups, kind="stable")
    places = np.cumsum(sizes) - sizes + (share * (sizes - 1)).clip(0).astype(int)
    quantiles = values[order[places.clip(max=len(values) - 1)]]
    return np.where(sizes > 0, quantiles, 0.0)


# ---- comparisons


def measure_agreement(labels, known, n_clusters):
    """Return the adjusted Rand index of partitions (C, M) with known ones (R, M), as (C, R)."""
    n_samples = labels.shape[1]
    starts = np.arange(len(known))[:, None] * n_clusters
    together = np.empty((len(labels), len(known)))
    for row, partition in zip(together, labels, strict=True):
        codes = (starts + known) * n_clusters + partition
        row[:] = _count_pairs(codes, n_clusters**2)

    one, other = (
        _count_pairs(np.arange(len(rows))[:, None] * n_clusters + rows, n_clusters)
        for rows in (labels, known)
    )
    chance = one[:, None] * other / (n_samples * (n_samples - 1))
    most = (one[:, None] + other) / 2
    index = (together - chance) / (most - chance).clip(1e-12)
    return np.where(most > chance, index, 1.0)


def _count_pairs(codes, n_codes):
    """Return the number (R,) of ordered pairs with equal codes (R, M), ``n_codes`` for a row."""
    sizes = np.bincount(codes.ravel(), minlength=len(codes) * n_codes)
    sizes = sizes.reshape(len(codes), n_codes)
    return (sizes * (sizes - 1.0)).sum(1)


class Ensemble:
    """Candidates with the same number of clusters, with which partitions are compared."""

    def __init__(self, measured, candidates, n_clusters):
        self.measured = measured
        self.n_clusters = n_clusters
        #: Methods (R,) that found the candidates, and their clusters (R, M).
        self.methods, self.labels = map(np.array, zip(*candidates, strict=True))
        #: Agreement (R, R) of each pair.
        self.agreement = measure_agreement(self.labels, self.labels, n_clusters)
        values, self.value_names = self._measure(self.labels, self.agreement)
        #: What is measured of the candidates, (R, V).
        self.values = values
        #: Features (R, F) of the candidates, and their names.
        self.features, self.names = self._relate(values)

    def compare(self, labels):
        """Return the features (C, F) of partitions (C, M) of two clusters or more.

        These are values, differences from the mean of the ensemble, and ranks among it, then
        features of the data set: equal partitions have equal features, wherever they come from.
        """
        agreement = measure_agreement(labels, self.labels, self.n_clusters)
        return self._relate(self._measure(labels, agreement)[0])[0]

    def _relate(self, values):
        """Return the features by what is measured of partitions, and names."""
        known = self.values
        standard = (values - known.mean(0)) / (known.std(0) + MIN_SPREAD)
        below = (known < values[:, None]).mean(1)
        equal = (known == values[:, None]).mean(1)

        shared = self.measured.data | {
            "log K": np.log(self.n_clusters),
            "mean agreement": self.agreement.mean(),
        }
        data = np.tile(list(shared.values()), (len(values), 1))
        parts = [values, standard.clip(-20, 20), below + equal / 2, data]

        names = self.value_names
        forms = "standardized", "rank"
        relative = [f"{name}, {form}" for form in forms for name in names]
        return np.hstack(parts).astype(np.float32), [*names, *relative, *shared]

    def _measure(self, labels, agreement):
        """Return what is measured of partitions, with their ``agreement`` (C, R), and names."""
        # Several methods often find the same partition.
        renamed = np.array([_name_by_first(row) for row in labels])
        distinct, places = np.unique(renamed, axis=0, return_inverse=True)
        rows = []
        with single_threaded("blas"):
            for row in distinct:
                rows.append(describe_partition(self.measured, row, self.n_clusters))
        values = np.array([list(row.values()) for row in rows])[places.ravel()]

        features = {
            "agreement": agreement.mean(1),
            "best agreement": np.sort(agreement, 1)[:, -BEST:].mean(1),
        }
        for name in COMPARED:
            columns = agreement[:, self.methods == name]
            features[f"with {name}"] = columns.sum(1) / max(columns.shape[1], 1)

        values = np.column_stack([values, *features.values()])
        # Rounding hides the rounding errors of sums.
        return np.nan_to_num(values.round(5)), [*rows[0], *features]


def _name_by_first(labels):
    """Return labels (M,) with the clusters numbered by their first samples."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]

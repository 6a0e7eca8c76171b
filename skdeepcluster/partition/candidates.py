"""Find candidate partitions by several families of methods.

M distinct samples, F of them fitted, D features, L dimensions, K clusters, P groups.
"""

from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter

import numpy as np
from sklearn.cluster import KMeans

from ..input.distinct import TINY
from ..input.labels import indicate
from ..neighbors.graph import join_clusters
from ..neighbors.threads import single_threaded
from ..utils.random import draw_seed
from .coordinates import Coordinates, MergeTrees

# The criterion was trained with these constants: see criterion/constants.py.

#: Number of runs of k-means.
KMEANS_RUNS = 3
#: Maximum number of iterations of EM.
EM_ITERATIONS = 60
#: EM ends when the mean log-likelihood rises by less than this, in nats.
EM_TOLERANCE = 1e-3
#: Added to the variances of a mixture of an embedding, as a share of their mean variance.
EMBEDDING_REGULARIZATION = 1e-4
#: Number of random starts of latent classes.
N_RANDOM = 4
#: Number of components of a merged mixture, per cluster.
COMPONENTS = 3
#: Maximum number of components, whose merging takes time and memory with its cube and square.
MAX_COMPONENTS = 300
#: Minimum gain in modularity by which components are grouped in another way.
LEAST_GAIN = 1e-9


# ---- what is tried


@dataclass
class Search:
    """A search for clusters of the samples or of an embedding.

    Each method returns the labels (M,) of a candidate, or None.
    """

    coords: Coordinates
    trees: MergeTrees
    n_clusters: int
    stream: np.random.RandomState
    brief: bool
    #: Labels (M,) of the candidates so far, by the names of their methods.
    labels: dict = field(default_factory=dict)

    def run_kmeans(self, is_white=False):
        """Run k-means on the points of the trees, or on the whitened samples if there are any."""
        points = self.coords.white if is_white else self.trees.points
        if points is None:
            return None
        n_init = 1 if self.brief else KMEANS_RUNS
        return run_kmeans(points, self.coords, self.n_clusters, self.stream, n_init)

    def fit_mixture(self, kind, start):
        """Fit a mixture to the narrow coordinates, from the labels of another method."""
        if not self.coords.has_features:
            return None
        points = self.coords.narrow
        task = self.labels[start], self.n_clusters, kind
        return fit_gaussians(points, self.coords, *task).argmax(1)

    def find_classes(self):
        """Find latent classes by EM from labels of other methods and from random ones."""
        table = self.coords.table
        if table is None:
            return None
        fitted = self.coords.draw(self.coords.sizes.fitted)
        starts = [self.labels[name][fitted] for name in STARTS if name in self.labels]
        starts += [*self.stream.randint(self.n_clusters, size=(N_RANDOM, len(fitted)))]

        statistics = table.statistics[fitted]
        weights = self.coords.weights[fitted, None]
        usual = statistics.T @ weights / weights.sum()

        def estimate(resp):
            return table.estimate(statistics.T @ (resp * weights), usual)

        runs = []
        with single_threaded("blas"):
            for labels in starts:
                resp = indicate(labels, self.n_clusters).toarray()
                runs.append(fit_by_em(statistics, resp, weights, estimate))
            _, coefficients = max(runs, key=itemgetter(0))
            return (table.statistics @ coefficients).argmax(1)

    def cut(self, method):
        """Cut a merge tree."""
        return self.trees.cut(method, self.n_clusters)

    @cached_property
    def components(self):
        """Components of a mixture, more than clusters, and groups of them with many links.

        Edges (P, P) between the components, their sizes (P,), their groups, and the component
        (M,) of each sample.
        """
        coords = self.coords
        n_fitted = len(coords.draw(coords.sizes.fitted))
        n_components = min(COMPONENTS * self.n_clusters, MAX_COMPONENTS, n_fitted)
        densities = fit_embedding(self.trees.points, coords, n_components, self.stream)
        used, component = np.unique(densities.argmax(1), return_inverse=True)
        edges = join_clusters(coords.graph, component, len(used)).toarray()
        sizes = np.bincount(component)
        groups = agglomerate(edges, sizes, self.n_clusters)
        return edges, sizes, groups, component

    def merge_mixture(self, is_modular=False):
        """Merge the components of a mixture by the edges between them."""
        if self.n_clusters >= MAX_COMPONENTS:
            return None
        edges, sizes, groups, component = self.components
        if is_modular:
            groups = raise_modularity(edges, sizes, groups)
        return label_points(groups)[component]


# The criterion was trained with these methods, too.

#: Methods from which latent classes begin.
STARTS = "kmeans", "white kmeans"
#: Methods tried in the samples, in this order, by name.
IN_SAMPLES = (
    ("kmeans", Search.run_kmeans),
    ("full", Search.fit_mixture, "full", "kmeans"),
    ("tied", Search.fit_mixture, "tied", "kmeans"),
    ("white kmeans", Search.run_kmeans, True),
    ("classes", Search.find_classes),
    ("genie", Search.cut, "genie"),
    ("ward", Search.cut, "ward"),
)
#: Methods tried in each embedding.
IN_EMBEDDING = (
    ("embedding ward", Search.cut, "ward"),
    ("embedding average", Search.cut, "average"),
    ("embedding genie", Search.cut, "genie"),
    ("full ward", Search.fit_mixture, "full", "embedding ward"),
    ("embedding merged", Search.merge_mixture),
    ("embedding modular", Search.merge_mixture, True),
)
#: Methods of brief searches only.
BRIEF = {"embedding genie"}
#: Methods that a brief search leaves out.
SELDOM = {"tied", "full ward"}


def find_candidates(coords, n_clusters, stream, brief=False):
    """Yield candidates: the name of a method, and the cluster (M,) of each sample.

    ``brief`` leaves out methods that seldom help to find ``n_clusters``.
    """
    left_out = SELDOM if brief else BRIEF
    in_samples, *in_embeddings = coords.trees
    tasks = [(trees, IN_EMBEDDING) for trees in in_embeddings]
    if coords.has_features:
        tasks.insert(0, (in_samples, IN_SAMPLES))
    for trees, methods in tasks:
        search = Search(coords, trees, n_clusters, stream, brief)
        for name, method, *options in methods:
            if name in left_out:
                continue
            labels = method(search, *options)
            if labels is not None:
                search.labels[name] = labels
                yield name, labels


# ---- k-means and mixtures


def run_kmeans(points, coords, n_clusters, stream, n_init):
    """Return the labels (M,) of k-means fitted to points (M, D)."""
    fitted = coords.draw(coords.sizes.fitted)
    some = points[fitted]
    kmeans = KMeans(
        min(n_clusters, _count_apart(some)),
        n_init=n_init,
        max_iter=50,
        random_state=draw_seed(stream),
    )
    with single_threaded():
        kmeans.fit(some, sample_weight=coords.weights[fitted])
        is_whole = len(fitted) == len(points)
        return kmeans.labels_ if is_whole else kmeans.predict(points)


def _count_apart(points):
    """Return the number of points apart: scikit-learn warns of more clusters than these."""
    gaps = points - points.mean(0)
    unit = 10 * np.sqrt(np.finfo(gaps.dtype).eps) * np.abs(gaps).mean()
    return len(np.unique(np.round(gaps / max(unit, TINY)), axis=0))


def fit_by_em(statistics, resp, weights, estimate):
    """Return the mean log-likelihood, and the coefficients (S, K) of log densities.

    The log densities are sums of sufficient statistics (M, S), times the coefficients. EM begins
    with responsibilities (M, K) of samples with ``weights`` (M, 1). ``estimate`` is the M-step: a
    function of responsibilities that returns coefficients.
    """
    last = -np.inf
    for _ in range(EM_ITERATIONS):
        coefficients = estimate(resp)
        # The E-step stays in the memory of the densities: new memory costs more than exp.
        resp = statistics @ coefficients
        highest = resp.max(1, keepdims=True)
        resp -= highest
        np.exp(resp, out=resp)
        total = resp.sum(1, keepdims=True)
        resp /= total
        likelihood = (weights * (highest + np.log(total))).sum() / weights.sum()
        if likelihood - last < EM_TOLERANCE:
            break
        last = likelihood
    return likelihood, coefficients


def make_monomials(points):
    """Return the products of the coordinates of points (M, D), the points, and ones.

    Their weighted sums are the sufficient statistics of a Gaussian.
    """
    ones = np.ones((len(points), 1))
    i, j = np.triu_indices(points.shape[1])
    return np.hstack([points[:, i] * points[:, j], points, ones])


def estimate_gaussians(resp, monomials, n_features, kind):
    """Return sizes (K,), means (K, D) and covariances (K, D, D) by ``resp`` (M, K).

    The monomials are multiplied by the weights of the samples.
    """
    sums = resp.T @ monomials
    sizes = sums[:, -1].clip(1e-10)
    means = sums[:, -1 - n_features : -1] / sizes[:, None]
    seconds = sums[:, : -1 - n_features] / sizes[:, None]
    i, j = np.triu_indices(n_features)
    covariances = np.empty((len(sizes), n_features, n_features))
    covariances[:, i, j] = seconds
    covariances[:, j, i] = seconds
    covariances -= means[:, :, None] * means[:, None]
    if kind == "tied":
        pooled = np.average(covariances, axis=0, weights=sizes)
        covariances = np.broadcast_to(pooled, covariances.shape)
    return sizes, means, covariances


def list_coefficients(sizes, means, covariances):
    """Return the coefficients (F, K) of monomials in log(weight_k N(x; mean_k, covariance_k)).

    One constant is left out.
    """
    precisions = np.linalg.inv(covariances)
    linear = np.einsum("kij,kj->ki", precisions, means)
    constant = np.einsum("ki,ki->k", linear, means)
    constant += np.linalg.slogdet(covariances)[1]
    constant = np.log(sizes / sizes.sum()) - constant / 2
    i, j = np.triu_indices(means.shape[1])
    quadratic = -np.where(i == j, 0.5, 1) * precisions[:, i, j]
    return np.hstack([quadratic, linear, constant[:, None]]).T


def fit_embedding(points, coords, n_components, stream):
    """Return the log densities (M, P) of a mixture of an embedding (M, L), by EM from k-means."""
    labels = run_kmeans(points, coords, n_components, stream, n_init=1)
    reg = EMBEDDING_REGULARIZATION
    return fit_gaussians(points, coords, labels, n_components, "full", reg)


def fit_gaussians(points, coords, labels, n_components, kind, reg=1e-3):
    """Return the log densities (M, P) of a mixture of points (M, D), by EM from labels (M,).

    Variances are raised by ``reg`` times their mean.
    """
    n_features = points.shape[1]
    fitted = coords.draw(coords.sizes.fitted)
    all_monomials = make_monomials(points)
    monomials = all_monomials[fitted]
    weights = coords.weights[fitted, None]
    weighted = monomials * weights
    variance = max(reg * points.var(0).mean(), 1e-12) * np.eye(n_features)
    resp = np.eye(n_components)[labels[fitted]]

    def estimate(resp):
        sizes, means, inner = estimate_gaussians(resp, weighted, n_features, kind)
        return list_coefficients(sizes, means, inner + variance)

    with single_threaded("blas"):
        _, coefficients = fit_by_em(monomials, resp, weights, estimate)
        return all_monomials @ coefficients


# ---- the cut of the graph


def compute_modularity(joint):
    """Return the modularity of clusters by the sums (K, K) of links between them.

    M. E. J. Newman, M. Girvan, "Finding and evaluating community structure in networks", Physical
    Review E 69, 2004.
    """
    shares = joint / joint.sum()
    return shares.trace() - np.square(shares.sum(0)).sum()


def raise_modularity(edges, sizes, groups):
    """Divide a group of points and join two others, as long as this raises the modularity.

    ``edges`` (P, P) are sums of edge weights between points of ``sizes`` (P,) samples. A group is
    divided by :func:`agglomerate`. The number of groups stays.
    """
    shares = edges / max(edges.sum(), TINY)
    volumes = shares.sum(0)
    # Their sum over the pairs of two groups is half of the gain if these are joined.
    gains = shares - np.outer(volumes, volumes)
    improved = groups
    while improved:
        groups = improved
        improved = _divide_and_join(edges, sizes, groups, gains)
    return groups


def _divide_and_join(edges, sizes, groups, gains):
    """Return the groups after the division and the junction of highest gain, or None."""
    member = np.eye(len(groups))[label_points(groups)]
    toward = member.T @ gains
    between = toward @ member
    np.fill_diagonal(between, -np.inf)
    best = LEAST_GAIN
    improved = None
    for k, group in enumerate(groups):
        if len(group) == 1:
            continue
        halves = agglomerate(edges[np.ix_(group, group)], sizes[group], 2)
        halves = [[group[i] for i in half] for half in halves]
        price = gains[np.ix_(*halves)].sum()

        joined = np.vstack([between, *(toward[:, half].sum(1) for half in halves)])
        joined[k] = joined[:, k] = -np.inf
        i, j = np.unravel_index(joined.argmax(), joined.shape)
        if joined[i, j] - price > best:
            best = joined[i, j] - price
            parts = [*groups, *halves]
            kept = [part for n, part in enumerate(parts) if n not in (i, j, k)]
            improved = [*kept, parts[i] + parts[j]]
    return improved


# ---- groups of points, merged by the edges between them


def agglomerate(edges, sizes, n_groups):
    """Merge the two groups of highest average linkage until ``n_groups`` are left.

    ``edges`` (P, P), symmetric, are sums of edge weights between points of ``sizes`` (P,) samples.
    Groups without edges are merged last, the smallest first. Returns a list of the points of each
    group, in the order of their first points.
    """
    n_points = len(sizes)
    edges = edges.clip(1e-9 * max(edges.sum(), 1.0) / n_points**2)
    sizes = np.array(sizes, dtype=np.float64)
    groups = {point: [point] for point in range(n_points)}
    linkages = edges / (sizes[:, None] * sizes)
    np.fill_diagonal(linkages, -np.inf)
    while len(groups) > n_groups:
        i, j = sorted(np.unravel_index(linkages.argmax(), linkages.shape))
        groups[i] += groups.pop(j)
        edges[i] += edges[j]
        edges[:, i] += edges[:, j]
        sizes[i] += sizes[j]
        row = np.where(np.isinf(linkages[i]), -np.inf, edges[i] / (sizes * sizes[i]))
        linkages[i] = linkages[:, i] = row
        linkages[j] = linkages[:, j] = -np.inf
    return list(groups.values())


def label_points(groups):
    """Return the group (P,) of each point."""
    labels = np.empty(sum(map(len, groups)), dtype=np.int64)
    for k, group in enumerate(groups):
        labels[group] = k
    return labels

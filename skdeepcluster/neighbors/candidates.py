"""Candidate partitions of a graph, most found in its layout: each kind is right where others fail.

k-means finds clusters of similar size, also where none is separate; the tree of Ward cuts off what
is separate, and does not count groups too small to be clusters; the components of a mixture,
merged by the edges of the graph, make clusters of any shape. In a layout of a few hundred rows
clusters of a handful may be lost, which Ward's method finds in the rows themselves; of clusters
of fewer than five rows on average a graph tells so little that only this candidate is left.

M rows, D features, L layout dimensions, P components or micro-clusters, K clusters.
"""

import warnings

import numpy as np
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import kneighbors_graph

from .._responsibilities import cluster_means, indicate
from ..engine.runtime import draw_seed
from ..mixture import em
from .agglomeration import merge_components
from .search import single_threaded
from .tree import build_ward_tree, cut_tree

#: Most rows to which clusters are fitted; the others are assigned to them.
SUBSAMPLE_ROWS = 10_000
#: Runs of k-means with K clusters, of which the one with the least inertia is kept.
KMEANS_RUNS = 3
#: Runs of k-means on rows of one feature, of which there is no other candidate.
LINE_RUNS = 10
#: Lloyd iterations of a k-means run.
KMEANS_ITERATIONS = 50
#: Micro-clusters per cluster of which Ward's tree is built.
MICRO_PER_CLUSTER = 10
#: Fewest micro-clusters, unless there are fewer than three rows for each.
MIN_MICRO = 200
#: Lloyd iterations for micro-clusters, whose borders need not be exact.
MICRO_ITERATIONS = 5
#: Least sizes of a cluster of the tree, relative to the mean size. Rows of a smaller group are
#: given to the cluster that they have most edges to.
MIN_SIZES = (0.0, 0.25)
#: Below this many distinct rows FEW_INIT mixtures are fitted in a layout, else MANY_INIT; and so
#: few rows are agglomerated, too, if they can be whitened (``whitening.can_whiten``).
FEW_ROWS = 1000
#: With fewer distinct rows for a cluster, on average, there are no other candidates: most
#: neighbours of a row are of other clusters.
MIN_ROWS_PER_CLUSTER = 5
#: Most rows of so small clusters any two of which may be merged: their distances take 100 MB. Of
#: more, groups that have neighbours in each other are merged.
MAX_PAIRED = 5000
#: Neighbours of a row in the connectivity of Ward's method then.
N_MERGED = 10
#: Mixtures fitted in a layout of few rows, all of which find much the same components.
FEW_INIT = 1
#: Mixtures fitted in a layout of many rows, or of rows with a few labels.
MANY_INIT = 5
#: Linkages by each of which the components of a mixture are merged by default.
LINKAGES = ("average", "share")
#: Components of a mixture in the layout per cluster.
COMPONENTS_PER_CLUSTER = 2
#: Added to the variances of the mixtures, whose data have unit variance.
REG_COVAR = 1e-4
#: Share of a Gaussian of all rows among those of clusters, whose likelihoods are compared.
BACKGROUND = 0.01
#: A mixture in the layout has converged when the mean log-likelihood changes by less.
TOL = 1e-3
#: Most EM iterations of a mixture in the layout.
MAX_ITER = 150


def find_candidates(
    layout,
    graph,
    weights,
    n_clusters,
    stream,
    features=None,
    *,
    n_init=None,
    linkages=None,
    boundary_weight=2.0,
):
    """Yield the labels (M,) of candidate partitions of the rows of a graph.

    ``layout`` (M, L) is that of ``graph`` (M, M), ``weights`` (M,) are those of the rows,
    ``features`` (M, D) what their distances are of, or None. The components of ``n_init`` mixtures
    are merged by each of the ``linkages``.
    """
    has_few = len(layout) < FEW_ROWS
    has_few_in_each = has_few_for_each(len(layout), n_clusters)
    if n_init is None:
        n_init = FEW_INIT if has_few else MANY_INIT
    lies_on_line = features is not None and features.shape[1] == 1
    if lies_on_line and not has_few_in_each:  # see skdeepcluster.neighbors.line
        yield run_kmeans(features, weights, n_clusters, stream, LINE_RUNS).labels_
        return
    if features is not None and (has_few or has_few_in_each):
        yield agglomerate_rows(features, n_clusters)
        if has_few_in_each:
            return
    rows = scale_to_unit_variance(layout)
    sample = draw_sample(rows, weights, stream)
    options = {"n_init": KMEANS_RUNS, "max_iter": KMEANS_ITERATIONS}
    yield run_kmeans(*sample, n_clusters, stream, **options).predict(rows)
    yield from cut_micro_clusters(rows, graph, weights, sample, n_clusters, stream)
    for _ in range(n_init):
        resp = fit_components(sample, rows, COMPONENTS_PER_CLUSTER * n_clusters, stream)
        for linkage in linkages or LINKAGES:
            assignment = merge_components(resp, graph, n_clusters, linkage, boundary_weight)
            yield (resp @ assignment).argmax(1)


def has_few_for_each(n_rows, n_clusters):
    """Return whether so many distinct rows are few for each cluster."""
    return n_rows < MIN_ROWS_PER_CLUSTER * n_clusters


def agglomerate_rows(rows, n_clusters):
    """Return the labels (M,) of Ward's clusters of rows (M, D)."""
    near = kneighbors_graph(rows, N_MERGED) if len(rows) > MAX_PAIRED else None
    with warnings.catch_warnings():
        # Parts of the graph are joined by their nearest rows.
        warnings.filterwarnings("ignore", "the number of connected components", UserWarning)
        return AgglomerativeClustering(n_clusters, connectivity=near).fit(rows).labels_


def cut_micro_clusters(rows, graph, weights, sample, n_clusters, stream):
    """Yield the labels (M,) of cuts of Ward's tree over micro-clusters, for each least size."""
    labels, centers = divide_rows(rows, sample, MICRO_PER_CLUSTER * n_clusters, stream)
    n_micro = len(centers)
    if n_micro < n_clusters:
        return
    sizes = np.bincount(labels, weights, minlength=n_micro)
    tree, _ = build_ward_tree(centers, sizes)
    member = indicate(labels, n_micro)
    edges = (member.T @ (graph @ member)).toarray()
    for least in MIN_SIZES:
        cut = cut_tree(tree, sizes, n_clusters, least * sizes.sum() / n_clusters)
        if cut is not None:
            yield _attach(cut, edges, centers, n_clusters)[labels]


def _attach(cut, edges, centers, n_clusters):
    """Give each point outside all clusters to that with most edges to it, else to the nearest."""
    outside = np.flatnonzero(cut < 0)
    if not len(outside):
        return cut
    inside = np.flatnonzero(cut >= 0)
    assignment = np.eye(n_clusters)[cut[inside]]
    links = edges[np.ix_(outside, inside)] @ assignment
    means = cluster_means(assignment, centers[inside])
    gaps = np.square(centers[outside, None] - means).sum(2)
    attached = cut.copy()
    attached[outside] = np.where(links.any(1), links.argmax(1), gaps.argmin(1))
    return attached


def divide_rows(rows, sample, n_micro, stream):
    """Return the micro-cluster (M,) of each row and their centres (P, L), by a short k-means.

    There are at least MIN_MICRO, or one for three rows of the ``sample`` (rows and weights).
    """
    n_micro = min(max(MIN_MICRO, n_micro), max(len(sample[0]) // 3, 1))
    micro = run_kmeans(*sample, n_micro, stream, max_iter=MICRO_ITERATIONS)
    return micro.predict(rows), micro.cluster_centers_


def draw_sample(rows, weights, stream):
    """Return at most SUBSAMPLE_ROWS rows (M, L) and their weights, in their order."""
    chosen = np.sort(stream.permutation(len(rows))[:SUBSAMPLE_ROWS])
    return rows[chosen], weights[chosen]


def scale_to_unit_variance(layout):
    """Return a layout (M, L) centred and scaled to a mean variance of one, in double precision."""
    unit = layout - layout.mean(0, dtype=np.float64)
    return unit / max(unit.std(), 1e-12)


def run_kmeans(rows, weights, n_clusters, stream, n_init=1, max_iter=20):
    """Return k-means fitted to weighted rows."""
    seed = draw_seed(stream)
    kmeans = KMeans(n_clusters, n_init=n_init, max_iter=max_iter, random_state=seed)
    with warnings.catch_warnings(), single_threaded():
        # Copies may leave k-means fewer distinct rows than clusters.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kmeans.fit(rows, sample_weight=weights)


def fit_components(sample, rows, n_components, stream):
    """Return the responsibilities (M, P) of rows (M, L) by a mixture of a sample of them.

    ``sample`` are rows and their weights. EM starts from k-means.
    """
    n_components = min(n_components, len(sample[0]))
    start = run_kmeans(*sample, n_components, stream).labels_
    return fit_mixture(*sample, np.eye(n_components)[start], rows)


def fit_mixture(rows, weights, resp, others):
    """Fit a full-covariance mixture by EM from responsibilities; return those of other rows."""
    m_step = em.MStep("full", REG_COVAR)
    weighted = em.as_rows(rows, resp.shape[1], "full", weights)
    start = em.m_step(rows, resp * weights[:, None], *m_step)
    mixture = em.fit_to_the_end(weighted, [start], m_step, max_iter=MAX_ITER, tol=TOL)
    return em.posterior(others, mixture)


def measure_likelihood(rows, weights, labels, n_clusters):
    """Return the mean log-likelihood of rows (M, L) by a Gaussian for each of their labels (M,).

    One more Gaussian, of all rows, has the share BACKGROUND: a few rows between clusters make no
    partition unlikely. Nats.
    """
    m_step = em.MStep("full", REG_COVAR)
    resp = np.full((len(rows), n_clusters + 1), BACKGROUND)
    resp[:, :-1] = (1 - BACKGROUND) * indicate(labels, n_clusters).toarray()
    mixture = em.m_step(rows, resp * weights[:, None], *m_step)
    return em.step(em.as_rows(rows, n_clusters + 1, "full", weights), mixture, m_step)[1]

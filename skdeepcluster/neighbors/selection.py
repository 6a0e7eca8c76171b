r"""The choice of a partition among candidates, by what it tells about a walk on the graph.

A random walk on a neighbour graph, which takes each edge with a probability in proportion to its
weight, stays for long in a group that few edges leave. Let c_0 be the cluster in which a
stationary walk starts, c_t that after t steps, and I their mutual information. A partition is as
good as I^2 / H(c_0) is large: I, which rewards many clusters of similar size, times the share
I / H(c_0) of what there is to know that the walk does not forget, which rewards clusters that it
does not leave. Likelihoods only compare mixtures of one layout; this number compares any
partitions of one graph. In few dimensions few edges cross a cut through a large cluster, so there
the walk is longer: :func:`count_walk_steps`. Of several partitions that are about as good that is
taken for which I and a fifth of the log-likelihood of the layout, by a Gaussian for each cluster,
are largest together: the walk leaves half of an elongated cluster as rarely as one of two
clusters that are close.

It also decides between the metric of the features and that in which they are whitened. In a metric
in which the rows are long and thin, cutting them across scores highly whether or not there are
clusters; so of each score that is subtracted which k-means gets in the same metric of rows of a
normal distribution with the same covariance, as in the gap statistic. The scatter of few rows with
many features fits chance, by which its own rows seem divided: then halves of the rows, whitened by
the scatter of the other half, decide.

How sure a label is, the candidates tell together: matched with the best one, they vote on every
row, and a row has the mean votes at the end of a short walk from it. Thus rows between clusters
are in doubt, and rows that other partitions put elsewhere. An error that all candidates make is
not seen.

M distinct rows, D features, L layout dimensions, C candidates, K clusters.

References: J.-C. Delvenne, S. N. Yaliraki, M. Barahona, "Stability of graph communities across
time scales", PNAS 2010 (partitions judged by a walk); M. Faccin, M. T. Schaub, J.-C. Delvenne,
"Entrograms and coarse graining of dynamics on complex networks", Journal of Complex Networks 2018
(by I(c_0; c_t)); R. Tibshirani, G. Walther, T. Hastie, "Estimating the number of clusters in a
data set via the gap statistic", Journal of the Royal Statistical Society B 2001 (the comparison
with rows without clusters); S. Dudoit, J. Fridlyand, "Bagging to improve the accuracy of a
clustering procedure", Bioinformatics 2003 (votes of matched partitions); M. Szummer, T. Jaakkola,
"Partially labeled classification with Markov random walks", NIPS 2001 (labels at a walk's
end); E. Levina, P. J. Bickel, "Maximum likelihood estimation of intrinsic dimension", NIPS 2004
(d from distances to neighbours).
"""

import math
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.special import stdtrit
from sklearn.preprocessing import normalize

from .agglomeration import measure_joint
from .candidates import (
    KMEANS_RUNS,
    MAX_PAIRED,
    find_candidates,
    has_few_for_each,
    measure_likelihood,
    run_kmeans,
    scale_to_unit_variance,
)
from .graph import make_walk, neighbor_graph
from .layout import neighbor_layout
from .line import count_on_line
from .scales import ScaleCurve, choose_scale, grow_micro_clusters, limit_clusters
from .search import single_threaded_blas
from .whitening import (
    are_vectors,
    can_whiten,
    prepare_rows,
    scatter_within_clusters,
    whiten_by_neighbors,
    whitening_matrix,
)

#: Bounds of the steps t of the walk. One step hardly leaves either half of a homogeneous cluster
#: that is cut in two; after very many steps all that is left to know is which groups are
#: unconnected.
WALK_STEPS = 4, 64
#: Partitions whose criterion is within this share of the greatest are about as good: I then
#: counts in full, so that no cluster is spent on a few unconnected rows.
MARGIN = 0.05
#: Weight of the log-likelihood of the clusters' Gaussians in the layout, beside I, both in nats.
LIKELIHOOD_WEIGHT = 0.2
#: Fewest rows for each parameter of these Gaussians: of fewer their likelihood differs by chance.
ROWS_PER_PARAMETER = 10
#: Share of the votes that the labels have, before those of the candidates: with less, the others
#: would outvote them where new rows are interpolated.
LABEL_SHARE = 0.5
#: Steps of the walk to where votes are counted: one finds fewer of the wrong rows, and more than
#: two put right ones in doubt.
VOTE_STEPS = 2
#: Share by which the responsibility of the label exceeds all others at least, more than single
#: precision rounds away.
LEAD = 1e-6
#: Columns of the indicators of clusters that take a step together: a row of them fits a few lines
#: of a processor's cache.
WALK_COLUMNS = 128
#: Most rows for which a second graph, of whitened rows, is made: its search and its layout double
#: the time, and with many rows the nearest are near in every metric. Nor are more agglomerated.
MAX_WHITENED_ROWS = 20_000
#: Most rows of a draw without clusters. Of fewer rows than there are the criterion is lower, in
#: both metrics alike.
MAX_NULL_ROWS = 2_000
#: Rows drawn without clusters in all, if the decision needs them: of few, several draws are made.
MIN_NULL_ROWS = 1_000
#: Most draws of rows without clusters.
MAX_NULL_DRAWS = 5
#: Most draws of halves.
MAX_HELD_OUT_DRAWS = 3
#: Level of the one-sided t-test that ends the draws.
CONFIDENCE = 0.9
#: With fewer distinct rows for each feature held-out halves decide between the metrics.
MIN_ROWS_PER_FEATURE = 10
#: Epochs of a layout that is divided into clusters: more do not change which rows are together.
LAYOUT_EPOCHS = 50


class Partition(NamedTuple):
    """A partition of M rows, and the graph in which it was found."""

    #: Responsibilities (M, K): see :func:`soften`.
    resp: np.ndarray
    #: Layout (M, L) of the graph.
    layout: np.ndarray
    #: Neighbour graph (M, M).
    graph: sparse.csr_matrix
    #: I(c_0; c_t)^2 / H(c_0) in nats.
    criterion: float
    #: How many clusters there may be, if that was asked.
    curve: ScaleCurve | None = None


class Search(NamedTuple):
    """How partitions, and their number, are searched for."""

    max_clusters: int
    n_neighbors: int
    metric: Any
    n_components: int
    n_jobs: Any
    stream: np.random.RandomState
    #: ``report(stage)`` is a context in which each stage runs.
    report: Any = nullcontext
    #: Keyword arguments of :func:`find_candidates`.
    settings: dict = {}  # noqa: RUF012
    n_clusters: int = 1
    #: Steps of the walk by which partitions are compared.
    n_steps: int = WALK_STEPS[0]

    def for_number(self, n_clusters, n_rows):
        """Return the search for so many clusters of M rows.

        The walk takes at most M / K steps: a longer one has crossed a cluster, and no more tells
        partitions of it apart.
        """
        n_steps = max(WALK_STEPS[0], 2 * (min(self.n_steps, n_rows // n_clusters) // 2))
        return self._replace(n_clusters=n_clusters, n_steps=n_steps)

    def make_layout(self, graph):
        """Return the layout (M, L) of a graph (M, M)."""
        with self.report("layout"):
            options = {"random_state": self.stream, "n_jobs": self.n_jobs}
            return neighbor_layout(graph, self.n_components, n_epochs=LAYOUT_EPOCHS, **options)

    def partition(self, layout, graph, weights, rows):
        """Return the best :class:`Partition` found in the layout of a graph, or in its rows."""
        with self.report("partition"):
            return _choose_candidate(layout, graph, weights, rows, self)

    def choose_scale(self, layout, graph, weights, rows):
        """Return the :class:`ScaleCurve` of a layout, against rows without clusters.

        ``rows`` (M, D) are those of the graph; None if there are distances only, and no rows can
        be drawn.
        """
        with self.report("number"):
            if rows is not None and self.lies_on_line(rows):
                rows = prepare_rows(rows, self.metric)
                return count_on_line(rows, weights, self.max_clusters, self.stream)
            most = limit_clusters(len(weights), self.max_clusters)
            micro = grow_micro_clusters(layout, weights, most, self.stream)
            null = None if rows is None else self.grow_null(rows, weights)
            weighted = weigh_edges(graph, weights)
            return choose_scale(micro, weighted, null, most, self.stream)

    def lies_on_line(self, rows):
        """Return whether rows (M, D) have one feature, by whose differences they are compared."""
        return self.metric == "euclidean" and rows.shape[1] == 1

    def grow_null(self, rows, weights):
        """Return micro-clusters and graph of rows without clusters, in the metric of ``rows``."""
        metric = self.metric
        if metric == "cosine":
            rows, metric = normalize(rows), "euclidean"
        null = draw_null(rows, weights, self.stream, rotates=metric == "euclidean")
        graph = neighbor_graph(null, self.n_neighbors, metric=metric, n_jobs=self.n_jobs)
        layout = self._replace(report=nullcontext).make_layout(graph)
        most = limit_clusters(len(null), self.max_clusters)
        return grow_micro_clusters(layout, np.ones(len(null)), most, self.stream), graph

    def prepare_rows(self, rows):
        """Return rows to be agglomerated or whitened, dense, or None if they are not to be."""
        if not are_vectors(rows, self.metric):
            return None
        if self.lies_on_line(rows):
            return prepare_rows(rows, self.metric)
        if rows.shape[0] > MAX_WHITENED_ROWS:
            return None
        # Many sparse rows may have more features than memory has room for.
        is_large = sparse.issparse(rows) and rows.shape[0] > MAX_PAIRED
        agglomerates = has_few_for_each(rows.shape[0], self.n_clusters) and not is_large
        return prepare_rows(rows, self.metric) if can_whiten(rows) or agglomerates else None

    def find_metric(self, rows, graph, weights):
        """Return the matrix (D, D) that whitens the scatter within clusters of rows (M, D).

        The clusters are those that k-means finds in rows whitened by the scatter between
        neighbours; ``graph`` (M, M) is that of the rows.
        """
        whitened = whiten_by_neighbors(rows, graph, self.n_neighbors, self.n_jobs)
        resp = np.eye(self.n_clusters)[self.run_kmeans(whitened, weights)]
        with single_threaded_blas():
            scatter = scatter_within_clusters(rows, weights, resp)
            return whitening_matrix(scatter, max(len(rows) - self.n_clusters, 1))

    def run_kmeans(self, rows, weights):
        """Return the cluster (M,) of each row by k-means."""
        return run_kmeans(rows, weights, self.n_clusters, self.stream, KMEANS_RUNS).labels_

    def partition_whitened(self, rows, graph, weights):
        """Return the best :class:`Partition` found in whitened rows (M, D) of a graph (M, M)."""
        with self.report("whitening"):
            rows = multiply(rows, self.find_metric(rows, graph, weights))
            graph = self.make_graph(rows)
        return self.partition(self.make_layout(graph), graph, weights, rows)

    def make_graph(self, rows):
        """Return the neighbour graph (M, M) of rows by Euclidean distances."""
        return neighbor_graph(rows, self.n_neighbors, n_jobs=self.n_jobs)

    def score_kmeans(self, rows, graph, weights):
        """Return the criterion of the clusters that k-means finds in rows of a graph (M, M)."""
        labels = self.run_kmeans(rows, weights)
        given = weigh_edges(graph, weights), labels[None], self.n_clusters, self.n_steps
        return score_by_walk(*given)[0][0]

    def measure_lead(self, rows, graph, weights, metric):
        """Return by how much the criterion of k-means is larger in rows times a metric (D, D)."""
        whitened = multiply(rows, metric)
        plain = self.score_kmeans(rows, graph, weights)
        return self.score_kmeans(whitened, self.make_graph(whitened), weights) - plain


def choose_partition(search, rows, graph, weights, n_clusters, least=1):
    """Return the best :class:`Partition` into ``n_clusters`` of rows (M, D).

    ``graph`` (M, M) is that of the rows in their metric, ``weights`` (M,) how often each occurs;
    ``rows`` is None if there are distances only. With ``n_clusters="auto"`` the number is chosen,
    at least ``least``.
    """
    layout, curve = search.make_layout(graph), None
    if n_clusters == "auto":
        curve = search.choose_scale(layout, graph, weights, rows)
        n_clusters = max(curve.best, least)
    search = search.for_number(n_clusters, len(weights))
    rows = search.prepare_rows(rows)
    found = search.partition(layout, graph, weights, rows)._replace(curve=curve)
    n_rows = len(weights)
    may_whiten = rows is not None and can_whiten(rows)
    if not may_whiten or n_clusters == 1 or has_few_for_each(n_rows, n_clusters):
        return found
    has_few = len(rows) < MIN_ROWS_PER_FEATURE * rows.shape[1]
    if has_few and not _leads_held_out(rows, weights, search):
        return found
    whitened = search.partition_whitened(rows, graph, weights)._replace(curve=curve)
    if has_few:
        return whitened
    lead = whitened.criterion - found.criterion
    return whitened if lead > _expect_lead(rows, weights, search, lead) else found


def multiply(rows, matrix):
    """Return rows (M, D) times a matrix (D, D), the same for any number of threads."""
    with single_threaded_blas():
        return rows @ matrix


def _expect_lead(rows, weights, search, lead):
    """Return by how much the criterion is larger in whitened rows if there are no clusters."""
    most = min(-(-MIN_NULL_ROWS // len(rows)), MAX_NULL_DRAWS)

    def draw():
        return _measure_null_lead(draw_null(rows, weights, search.stream), search)

    with search.report("null"):
        return _average_draws(draw, lead, most)


def _leads_held_out(rows, weights, search):
    """Return whether whitened rows lead in halves whose metric is that of the other half.

    They are to lead by more than rows without clusters do.
    """

    def draw():
        null = draw_null(rows, weights, search.stream)
        expected = _measure_held_out_lead(null, np.ones(len(null)), search)
        return _measure_held_out_lead(rows, weights, search) - expected

    with search.report("null"):
        return _average_draws(draw, 0.0, MAX_HELD_OUT_DRAWS) > 0


def _average_draws(draw, bound, most):
    """Return the mean of at most so many draws of a number.

    They end as soon as a t-test tells on which side of ``bound`` their mean is: small sets need
    half of them on average.
    """
    drawn = [draw()]
    while len(drawn) < most:
        drawn.append(draw())
        error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
        if abs(bound - np.mean(drawn)) > stdtrit(len(drawn) - 1, CONFIDENCE) * error:
            break
    return np.mean(drawn)


def draw_null(rows, weights, stream, rotates=False):
    """Draw rows of a normal distribution with the covariance of some rows (M, D).

    They have no clusters, but may be long in one direction and thin in others. They are sums of
    the differences of at most MAX_NULL_ROWS rows from their mean, with normal coefficients. If
    ``rotates``, they may be in other axes, in which sparse rows take less memory.
    """
    chosen = np.sort(stream.permutation(rows.shape[0])[:MAX_NULL_ROWS])
    rows, weights = rows[chosen], weights[chosen] / weights[chosen].sum()
    drawn = stream.standard_normal((len(weights), len(weights)))
    with single_threaded_blas():
        if rotates and sparse.issparse(rows) and rows.shape[1] > len(weights):
            gaps = _find_principal_coordinates(rows, weights)
        else:
            rows = (rows.toarray() if sparse.issparse(rows) else rows).astype(np.float64)
            gaps = rows - weights @ rows
        return drawn @ (gaps * np.sqrt(weights)[:, None])


def _find_principal_coordinates(rows, weights):
    """Return the principal coordinates (M, M) of sparse rows (M, D) about their weighted mean."""
    products = (rows @ rows.T).toarray().astype(np.float64)
    mean = products @ weights
    values, vectors = np.linalg.eigh(products - mean - mean[:, None] + weights @ mean)
    return vectors * np.sqrt(np.maximum(values, 0))


def _measure_null_lead(rows, search):
    """Return by how much the criterion of k-means is larger in whitened rows without clusters.

    One round group needs no other candidates, and thus no layout.
    """
    if len(rows) <= search.n_clusters:
        return 0.0
    weights, graph = np.ones(len(rows)), search.make_graph(rows)
    return search.measure_lead(rows, graph, weights, search.find_metric(rows, graph, weights))


def _measure_held_out_lead(rows, weights, search):
    """Return the lead of whitened rows in either half, mean; the other half whitens it."""
    size = len(rows) // 2
    n_neighbors = min(search.n_neighbors, max(1, size // search.n_clusters - 1))
    search, order = search._replace(n_neighbors=n_neighbors), search.stream.permutation(len(rows))
    halves = [(rows[half], weights[half]) for half in (order[:size], order[size:])]
    graphs = [search.make_graph(half) for half, _ in halves]
    leads = []
    for (half, weight), graph, other in zip(halves, graphs, (1, 0), strict=True):
        metric = search.find_metric(halves[other][0], graphs[other], halves[other][1])
        leads.append(search.measure_lead(half, graph, weight, metric))
    return np.mean(leads)


def _choose_candidate(layout, graph, weights, rows, search):
    """Return the best partition found in one layout, or in the rows (M, D) of its graph."""
    n_clusters = search.n_clusters
    if len(layout) <= n_clusters:  # of few distinct rows each is a cluster
        return Partition(np.eye(len(layout), n_clusters), layout, graph, 0.0)
    if n_clusters == 1:
        return Partition(np.ones((len(layout), 1)), layout, graph, 0.0)
    weighted = weigh_edges(graph, weights)
    given = layout, weighted, weights, n_clusters, search.stream, rows
    found = find_candidates(*given, **search.settings)
    candidates, counts = np.unique(np.stack(list(found)), axis=0, return_counts=True)
    scores, information = score_by_walk(weighted, candidates, n_clusters, search.n_steps)
    best = _find_best(candidates, scores, information, layout, weights, n_clusters)
    ballots = counts * np.maximum(scores, np.finfo(np.float64).tiny)
    votes = count_votes(candidates, ballots, candidates[best], weights, n_clusters)
    resp = soften(candidates[best], votes, weighted)
    return Partition(resp, layout, graph, scores[best])


def _find_best(candidates, scores, information, layout, weights, n_clusters):
    """Return the position of the best of several labels (C, M) of the rows of a layout (M, L).

    ``scores`` (C,) are their I(c_0; c_t)^2 / H(c_0), ``information`` (C,) their I(c_0; c_t).
    """
    good = np.flatnonzero(scores >= (1 - MARGIN) * scores.max())
    value, n_parameters = information[good], n_clusters * math.comb(layout.shape[1] + 2, 2)
    if len(good) > 1 and len(layout) >= ROWS_PER_PARAMETER * n_parameters:
        rows = scale_to_unit_variance(layout)
        fits = [measure_likelihood(rows, weights, candidates[c], n_clusters) for c in good]
        value = value + LIKELIHOOD_WEIGHT * np.array(fits)
    return int(good[value.argmax()])


def count_walk_steps(distances, metric):
    """Return the steps of the walk on M rows by their distances (M, k) to the nearest others.

    A walk whose steps lead to one of k neighbours has crossed a cloud of M rows in d dimensions
    after about (M / k)^(2 / d) steps. It takes half as many, an even number within
    ``WALK_STEPS``: from about seven dimensions on the fewest. d is the maximum likelihood
    estimate from the ratios of the distances, its inverse averaged over the rows. Cosine
    distances are half the squares of Euclidean ones.
    """
    exponent = 1 / 2 if metric == "cosine" else 1
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = exponent * np.log(distances[:, -1:] / distances[:, :-1])
    known = ratios[np.isfinite(ratios)]
    if not len(known):
        return WALK_STEPS[0]
    n_rows, k = distances.shape
    with np.errstate(over="ignore"):
        crossing = (n_rows / k) ** (2 * known.mean())  # the mean is that of 1 / d
    return 2 * round(np.clip(crossing / 2, *WALK_STEPS) / 2)


def score_by_walk(graph, candidates, n_clusters, n_steps):
    """Return I(c_0; c_t)^2 / H(c_0) and I(c_0; c_t) in nats of several labels (C, M), each (C,).

    t is ``n_steps``, an even number. The joint distribution of c_0 and c_t is A^T D P^t A, with
    A (M, K) the indicator of the clusters, D the degrees of the rows and P = D^{-1} G the steps.
    Since D P is symmetric, it equals V^T D V with V = P^{t/2} A.
    """
    steps, degree = make_walk(graph)
    measured = []
    size = max(1, WALK_COLUMNS // n_clusters)
    eye = np.eye(n_clusters, dtype=np.float32)
    for start in range(0, len(candidates), size):
        indicators = np.hstack([eye[labels] for labels in candidates[start : start + size]])
        for _ in range(n_steps // 2):
            indicators = steps @ indicators
        with single_threaded_blas():
            for after in np.hsplit(indicators, indicators.shape[1] // n_clusters):
                measured.append(measure_joint(after.T @ (after * degree[:, None])))
    information, entropy = np.array(measured).T
    return information**2 / np.maximum(entropy, np.finfo(np.float64).tiny), information


def weigh_edges(graph, weights):
    """Return the graph with each edge multiplied by the weights (M,) of the rows at its ends."""
    if (weights == weights[0]).all():
        return graph
    scale = sparse.diags(weights / weights.mean())
    return (scale @ graph @ scale).tocsr()


def count_votes(candidates, ballots, labels, weights, n_clusters):
    """Return the share (M, K) of the votes on each row that each cluster has.

    ``labels`` (M,) have LABEL_SHARE of them, the candidates (C, M) the others, in proportion to
    their ``ballots`` (C,). Their clusters are matched one-to-one with those of ``labels`` by the
    weights (M,) of the rows in common, by the Hungarian algorithm.
    """
    rows, votes = np.arange(len(labels)), np.zeros((len(labels), n_clusters))
    for candidate, share in zip(candidates, ballots / ballots.sum(), strict=True):
        pairs = np.bincount(candidate * n_clusters + labels, weights, n_clusters**2)
        _, match = linear_sum_assignment(pairs.reshape(n_clusters, n_clusters), maximize=True)
        votes[rows, match[candidate]] += share
    return LABEL_SHARE * np.eye(n_clusters)[labels] + (1 - LABEL_SHARE) * votes


def soften(labels, votes, graph):
    """Return responsibilities (M, K): the mean votes (M, K) at the end of a walk from each row.

    It takes VOTE_STEPS steps along the edges; a row without any keeps its own votes. The label of
    a row stays its most probable cluster: where another has more votes, the label gets as many.
    """
    steps, degree = make_walk(graph)
    resp = votes
    for _ in range(VOTE_STEPS):
        resp = steps @ resp
    resp = np.where(degree[:, None] > 0, resp, votes)
    resp[np.arange(len(labels)), labels] = (1 + LEAD) * resp.max(1)
    return resp / resp.sum(1, keepdims=True)

"""The fit of a NeighborClustering: prepared samples, their partition, fitted attributes.

N samples, M distinct samples in the graph, E encoded features, K clusters.
"""

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.utils import Bunch

from ..input.checks import (
    check_sample_weight,
    draw_seed,
    random_stream,
    read_numbers,
    warn_of_empty,
)
from ..input.distinct import TINY
from ..input.labels import (
    cluster_means,
    find_offset,
    mark_noise,
)
from ..input.preparation import Preparation
from ..input.progress import Progress
from ..neighbors.augmented import check_augment
from ..neighbors.graph import GraphSettings
from ..neighbors.samples import Lookup, interpolate
from ..partition.invariance import (
    analyze_semantics,
    choose_augment,
    compare_in,
    list_kinds,
    list_series_features,
)
from ..partition.search import Problem, find_partition, make_criterion, warn_of_edge
from ..partition.selection import Alternative, describe_changes


def prepare_samples(clusterer, X, sample_weight=None):
    """Return the fitted :class:`~skdeepcluster.input.Preparation` of X, and X, prepared."""
    metric = clusterer.metric
    standardize = clusterer.standardize
    if clusterer.augment is not None:
        check_augment(metric)
    if standardize == "auto" and metric != "euclidean":
        standardize = False
    if standardize and metric == "precomputed":
        raise ValueError(
            "standardize=True needs features, but metric='precomputed' takes distances. Set "
            "standardize='auto', or name a metric of features."
        )

    is_unchanged = clusterer.augment is None and clusterer.image_shape is None
    preparation = Preparation(
        clusterer.categorical_features,
        kinds=clusterer.kinds,
        learns_kinds=is_unchanged,
        standardize=standardize,
        n_neighbors=clusterer.n_neighbors,
        accept_sparse=bool(clusterer.accept_sparse) or metric == "precomputed",
        allow_nan=metric != "precomputed",
        name=type(clusterer).__name__,
    )
    X = preparation.fit_prepare(X, sample_weight)
    if preparation.groups_:
        check_categories(metric, clusterer.augment)
    if clusterer.verbose and preparation.is_table:
        print(preparation.describe())
    return preparation, X


def check_categories(metric, augment):
    """Check that a table with categories is compared by Euclidean distances, unchanged."""
    if augment is not None:
        raise ValueError(
            "augment changes numbers, but X has categories. Set augment=None, or leave out "
            "their columns."
        )
    if metric != "euclidean":
        raise ValueError(
            f"X has categories, which need metric='euclidean', got {metric!r}. Set it, "
            "or encode them and set categorical_features=None."
        )


def cluster_samples(
    clusterer,
    X,
    y=None,
    sample_weight=None,
    must_link=None,
    cannot_link=None,
    groups=None,
):
    """Return the fitted attributes of a NeighborClustering of X (N, D), by name.

    ``groups`` are the one-hot columns of a table, if X has none by itself.
    """
    with np.errstate(under="ignore"):
        preparation, X = prepare_samples(clusterer, X, sample_weight)
        known = clusterer._read_known(y, X.shape[0])
        problem = Problem(
            read_numbers(clusterer.n_clusters, clusterer.max_clusters),
            sample_weight,
            known.labels,
            sizes=(clusterer.min_cluster_size, clusterer.max_cluster_size),
            must_link=must_link,
            cannot_link=cannot_link,
        )
        attributes = find_clusters(clusterer, preparation, X, problem, groups)
    return attributes | known.attributes()


def find_clusters(clusterer, preparation, X, problem, groups):
    """Return the fitted attributes of a NeighborClustering of prepared X (N, E), by name.

    ``problem`` is the :class:`~skdeepcluster.partition.search.Problem` to solve, and ``groups``
    are those of a table that the preparation does not know.
    """
    with Progress(type(clusterer).__name__, bool(clusterer.verbose)) as progress:
        # Graph, layout, partition, assignment, augmentation, and each number that is tried.
        progress.plan(4 + (clusterer.augment == "auto") + problem.n_tried)
        n_clusters = problem.n_clusters
        if clusterer.augment == "auto":
            progress.begin("augmentation", 1)
        if groups is None:
            groups = preparation.table_groups
        augmentation, X, settings = _compare(
            clusterer, preparation, X, n_clusters, groups
        )
        partition = find_partition(
            X, problem, settings, clusterer.random_state, progress
        )
        warn_of_number(clusterer, partition)
        progress.begin("assignment", 1)
        lookup = Lookup(partition.samples.reference)
        resps = [answer.resp for answer in partition.answers]
        *resps, layout, outlier_scores = interpolate(
            lookup, X, [*resps, partition.layout], clusterer.n_jobs
        )

    weights = check_sample_weight(problem.sample_weight, X)
    merits = [answer[1:] for answer in partition.answers]
    attributes = {
        **preparation.input_attributes(),
        **augmentation,
        **_describe_graph(partition.samples),
        "standardize_": preparation.standardizes_,
        "layout_": layout,
        "outlier_scores_": outlier_scores,
        "offset_": find_offset(outlier_scores, clusterer.noise, weights),
        "_answers": [*zip(resps, merits, strict=True)],
        "_lookup": lookup,
    }
    if partition.curve is not None:
        attributes["n_clusters_curve_"] = Bunch(**partition.curve._asdict())
    return attributes | show_answer(attributes, 0)


def _compare(clusterer, preparation, X, n_clusters, groups):
    """Return the attributes of the augmentation, X as it is compared, and how it is."""
    augmentation = _find_augmentation(clusterer, preparation, X, n_clusters)
    X, augment = compare_in(augmentation["augment_"], X, preparation)
    return augmentation, X, make_graph_settings(clusterer, augment, groups)


def _find_augmentation(clusterer, preparation, X, n_clusters):
    """Return the attributes of the augmentation, the one with the highest score if "auto"."""
    if clusterer.augment is None and clusterer.metric in ("euclidean", "cosine"):
        return {"augment_": analyze_semantics(X)}
    if clusterer.augment != "auto":
        return {"augment_": clone(clusterer.augment, safe=False)}
    stream = random_stream(clusterer.random_state)
    kinds = list_kinds(X.shape[1], clusterer.image_shape)
    if clusterer.image_shape is None:
        kinds |= list_series_features()
    augment, scores = choose_augment(
        X,
        n_clusters,
        make_graph_settings(clusterer),
        kinds,
        preparation,
        np.random.RandomState(draw_seed(stream)),
    )
    return {"augment_": augment, "augment_scores_": scores}


def _describe_graph(samples):
    """Return the attributes of a graph, and what its tree of clusters needs."""
    kept = samples.reference.kept
    order = np.argsort(kept)
    return {
        "graph_": samples.graph[order][:, order],
        "graph_indices_": kept[order],
        "_columns": samples.columns,
        "_graph_weights": samples.weights,
        "_reference": samples.reference.to_dict(),
    }


def look_at(clusterer, X, sample_weight=None):
    """Return the criterion of X (N, D), and the distinct samples of its graph."""
    preparation, X = prepare_samples(clusterer, X, sample_weight)
    numbers = read_numbers("auto", clusterer.max_clusters)
    groups = preparation.table_groups
    _, X, settings = _compare(clusterer, preparation, X, numbers, groups)
    return make_criterion(X, settings, sample_weight, clusterer.random_state)


def make_graph_settings(clusterer, augment=None, groups=None):
    """Return the :class:`GraphSettings` of a NeighborClustering."""
    return GraphSettings(
        n_neighbors=clusterer.n_neighbors,
        metric=clusterer.metric,
        n_components=clusterer.n_components,
        max_samples=clusterer.max_samples,
        n_jobs=clusterer.n_jobs,
        augment=augment,
        n_views=clusterer.n_views,
        groups=groups,
    )


def show_answer(attributes, place):
    """Return the attributes of one of the answers, and the others as alternatives."""
    outlier_scores = attributes["outlier_scores_"]
    offset = attributes["offset_"]
    answers = attributes["_answers"]
    labels = [mark_noise(resp.argmax(1), outlier_scores, offset) for resp, _ in answers]
    resp, merits = answers[place]
    alternatives = []
    for i, (other, other_merits) in enumerate(answers):
        if i == place:
            continue
        changes = describe_changes(labels[place], labels[i])
        while any(changes == before.changes for before in alternatives):
            changes += ", but others"
        alternative = Alternative(
            n_clusters=other.shape[1],
            expected_score=other_merits[0],
            changes=changes,
            evidence=_describe_evidence(answers[i], answers[place]),
            labels=labels[i],
            probabilities=other.max(1),
            place=i,
        )
        alternatives.append(alternative)
    return {
        "responsibilities_": resp,
        "probabilities_": resp.max(1),
        "labels_": labels[place],
        "n_clusters_": resp.shape[1],
        "expected_score_": merits[0],
        "alternatives_": alternatives,
    }


def find_answer(attributes, alternative):
    """Return the attributes of the answer that an alternative of the fit is."""
    place = getattr(alternative, "place", None)
    if place in range(len(attributes["_answers"])):
        shown = show_answer(attributes, place)
        if np.array_equal(shown["labels_"], alternative.labels):
            return shown
    n_others = len(attributes["alternatives_"])
    raise ValueError(
        f"alternative must be one of the {n_others} alternatives_ of this fit, such as "
        f"use(fit.alternatives_[0]), got {type(alternative).__name__}."
    )


def _describe_evidence(answer, chosen):
    """Return what speaks for an answer, beside the same numbers of the chosen one."""
    names = "expected score", "agreement of candidates", "mean probability"
    numbers = [[*merits, resp.max(1).mean()] for resp, merits in (answer, chosen)]
    return ", ".join(
        f"{name} {value:.2f} ({other:.2f})"
        for name, value, other in zip(names, *numbers, strict=True)
    )


def measure_silhouette(layout, clusters, new_layout, new_resp):
    """Return the mean simplified silhouette of new samples (n, L) with responsibilities (n, K).

    The ``layout`` (N, L) of a fit gives the centers of the clusters.
    """
    present, places = np.unique(clusters, return_inverse=True)
    if len(present) < 2:
        return 0.0

    centers = cluster_means(np.eye(len(present))[places], layout.astype(float))
    distances = cdist(new_layout, centers)
    assigned = np.arange(len(new_resp)), new_resp[:, present].argmax(1)

    a = distances[assigned]
    distances[assigned] = np.inf
    b = distances.min(1)
    larger = np.maximum(np.maximum(a, b), TINY)
    return float(((b - a) / larger).mean())


def check_state(state):
    """Check the fitted attributes of a NeighborClustering that comes from a file."""
    reference = state.get("_reference", {})
    for value in filter(sparse.issparse, [*state.values(), *reference.values()]):
        value.check_format()

    resp = state.get("responsibilities_", np.ones((1, 1)))
    if not np.allclose(resp.sum(1), 1):
        raise ValueError(
            "The responsibilities do not sum to one. Fit the estimator again."
        )
    if not reference:
        return
    kept = reference["kept"]
    is_sample = (kept >= 0) & (kept < len(resp))
    arrays = [reference["keys"], reference["spacing"], state["graph_indices_"]]
    has_all = {len(array) for array in arrays} == {len(kept)}
    if not has_all or not is_sample.all() or reference["n_neighbors"] < 1:
        raise ValueError(
            "The graph names samples or neighbors that there are not. Fit the estimator "
            "again."
        )


# ---- warnings


def warn_of_number(clusterer, partition):
    """Warn of empty clusters, and of a number at the edge of those that were tried."""
    warn_of_empty(
        len(np.unique(partition.answers[0].labels)),
        partition.n_clusters,
        "clusters",
        "Decrease n_clusters, or leave out duplicate points.",
    )
    if clusterer.n_clusters == "auto":
        warn_of_edge(partition, clusterer.max_clusters)

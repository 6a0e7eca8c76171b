"""Draw data sets, fit the criterion that chooses among partitions, and write its numbers.

    python benchmarks/criterion.py --seeds 0-99 --jobs 2
    python benchmarks/criterion.py --seeds 0-99 --leave-one-out

Every kind of ``lib/drawn.py`` is drawn with every seed, as often as WEIGHTS says, and kept in
``build/criterion``. Gradient boosting learns the adjusted Rand index with the known clusters from
the package's features of its candidates. The criterion is written to
``skdeepcluster/neighbors/criterion.npz``, and what each feature is worth to
``results/criterion.json``. ``--leave-one-out`` judges kinds by a criterion that has not seen them,
and writes nothing.
"""

import argparse
import json
import pickle
import sys
import warnings
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
from joblib import Parallel, delayed
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the folder that holds lib
from lib.drawn import KINDS, draw
from lib.options import parse_seeds

from skdeepcluster.metrics import match_labels
from skdeepcluster.neighbors import candidates, features, number, selection
from skdeepcluster.neighbors.number import judge_numbers, list_numbers
from skdeepcluster.neighbors.samples import GraphSettings, connect, make_views

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "results" / "criterion.json"
FILE = ROOT / "skdeepcluster" / "neighbors" / "criterion.npz"
#: How often a kind is drawn for each seed; once if it is not named.
WEIGHTS = {"tables": 5, "embeddings": 5, "images": 3, "digits": 3, "factors": 2, "one_table": 2}
#: The number of clusters varies, too, in every fifth draw; odd, because few samples are judged in
#: every second one.
VARIED = 5
#: Number of samples that are judged in every second draw.
FEW_JUDGED = 500
#: Maximum number of clusters that is tried.
MAX_CLUSTERS = 60
#: Offset of the seeds of the data sets on which probabilities are calibrated.
FRESH = 100_000
#: Settings of the boosted trees.
BOOSTING = {
    "max_iter": 300,
    "learning_rate": 0.06,
    "min_samples_leaf": 40,
    "l2_regularization": 5.0,
    "early_stopping": False,
}
#: Settings that differ between the choice of a partition and of a number of clusters.
SIZES = {
    "partition": {"max_leaf_nodes": 12, "max_features": 0.1},
    "number": {"max_leaf_nodes": 24, "max_features": 0.2},
}


def find_views(data, n_clusters, stream):
    """Return the views of a data set, and the classes of their samples."""
    settings = GraphSettings(n_neighbors=15)
    samples = connect(data.X, n_clusters, settings, stream)
    views = make_views(samples, n_clusters, settings, stream)
    return views, data.y[samples.reference.kept]


def tabulate(kind, seed):
    """Return the features and scores of the candidates of a drawn data set.

    Every other draw is judged by few of its samples, as large data sets are. "partition" has the
    candidates with the right number of clusters, "number" those of many numbers, see `arrange`.
    """
    data, stream = draw(kind, seed), np.random.RandomState(seed)
    k, n_features, found = data.n_clusters, data.X.shape[1], {}
    with few_judged() if seed % 2 and len(data.y) > 2 * FEW_JUDGED else nullcontext():
        if k > 1:
            views, y = find_views(data, k, stream)
            drawn = views.draw(candidates.MERGED)
            proposed = list(candidates.find_candidates(views, k, stream))
            seen = [own._replace(labels=own.labels[drawn]) for own in proposed]
            judged = features.prepare(views, n_features)
            table = features.describe_all(judged, seen, k, known=True)
            found["partition"] = arrange([(k, proposed, table)], y)
        if seed % (2 if k == 1 else VARIED) == 0:
            views, y = find_views(data, "auto", stream)
            numbers = list_numbers(MAX_CLUSTERS)
            entries = list(judge_numbers(views, n_features, numbers, stream))
            found["number"] = arrange(entries, y[views.draw(candidates.MERGED)])
    return {"kind": kind, "seed": seed, "k": k} | found


@contextmanager
def few_judged():
    """Within the block few samples are judged, merged, linked and fitted."""
    with ExitStack() as stack:
        for module in (candidates, features, selection, number):
            stack.enter_context(patch.object(module, "MERGED", FEW_JUDGED))
        stack.enter_context(patch.object(candidates, "LINKED", 2 * FEW_JUDGED))
        stack.enter_context(patch.object(candidates, "FITTED", 3 * FEW_JUDGED))
        yield


def arrange(entries, y):
    """Return the arrays of candidates: numbers of clusters, families, features, scores, names."""
    values, names = features.join_tables([table for *_, table in entries])
    parts = [(k, own) for k, proposed, _ in entries for own in proposed]
    scores = np.array([adjusted_rand_score(y, own.labels) for _, own in parts])
    return [k for k, _ in parts], [own.family for _, own in parts], values, scores, names


def tabulate_seed(seed, folder):
    """Return the tables of all kinds for a seed, from the folder if they are there."""
    path = folder / f"{seed}.pkl"
    if path.exists():
        return pickle.loads(path.read_bytes())
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        draws = [(kind, 1000 * i + seed) for kind in KINDS for i in range(WEIGHTS.get(kind, 1))]
        tables = [tabulate(*each) for each in draws]
    path.write_bytes(pickle.dumps(tables))
    print(f"seed {seed}: {len(tables)} data sets", flush=True)
    return tables


# ---- the criterion


def stack(tables, purpose):
    """Return the features (C, F), scores (C,) and weights (C,) of all candidates for a purpose.

    Where numbers of clusters are compared, a score is the mean of the adjusted Rand index and of
    how near the number is to the right one: the index alone hardly falls as clusters are cut. A
    data set counts by how much its candidates differ, however many they are; one with a single
    cluster, whose candidates are all wrong, counts as much as most.
    """
    found = [(table[purpose], table["k"]) for table in tables if purpose in table]
    scores = [own[3] for own, _ in found]
    if purpose == "number":
        scores = [(own[3] + rate_numbers(own[0], k)) / 2 for own, k in found]
    spreads = [
        0.5 if k == 1 else np.ptp(own) + 0.02 for own, (_, k) in zip(scores, found, strict=True)
    ]
    weights = [np.full(len(own), s / len(own)) for own, s in zip(scores, spreads, strict=True)]
    return np.vstack([own[2] for own, _ in found]), np.concatenate(scores), np.concatenate(weights)


def rate_numbers(numbers, k):
    """Return how near numbers of clusters (C,) are to k: 1 if equal, 1 / e at a ratio of 1.35."""
    return (k > 1) * np.exp(-np.abs(np.log(np.array(numbers) / k)) / 0.3)


def fit(tables, purpose):
    """Return the boosted trees fitted to the candidates of the tables."""
    features, scores, weights = stack(tables, purpose)
    trees = HistGradientBoostingRegressor(random_state=0, **BOOSTING, **SIZES[purpose])
    return trees.fit(features, scores, sample_weight=weights)


def flatten(trees):
    """Return the nodes of all trees as the arrays that ``predict_scores`` reads."""
    # scikit-learn has no public access to these nodes.
    parts = [predictor.nodes for (predictor,) in trees._predictors]
    starts = np.cumsum([0, *map(len, parts)])
    nodes, own = np.concatenate(parts), np.arange(starts[-1])
    shift = np.repeat(starts[:-1], np.diff(starts))
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "roots": starts[:-1].astype(np.uint16),
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.uint16),
        "threshold": np.where(is_leaf, 0, nodes["num_threshold"]).astype(np.float32),
        "left": np.where(is_leaf, own, nodes["left"] + shift).astype(np.uint16),
        "right": np.where(is_leaf, own, nodes["right"] + shift).astype(np.uint16),
        "value": np.where(is_leaf, nodes["value"], 0).astype(np.float32),
        "base": np.float64(trees._baseline_prediction.item()),
        "depth": np.int64(nodes["depth"].max()),
    }


def measure_gains(trees, names):
    """Return the share of the total gain that the splits by each feature have, largest first."""
    gains = np.zeros(len(names))
    for (predictor,) in trees._predictors:
        inner = predictor.nodes[~predictor.nodes["is_leaf"].astype(bool)]
        np.add.at(gains, inner["feature_idx"], inner["gain"])
    shares = {}
    for name, gain in zip(names, gains / gains.sum(), strict=True):
        form = name.rpartition(", ")[2] if ", " in name else "value"
        share = shares.setdefault(name.partition(", ")[0], {})
        share[form] = round(share.get(form, 0) + float(gain), 5)
    return dict(sorted(shares.items(), key=lambda item: -sum(item[1].values())))


def judge(tables, predict):
    """Return the mean scores of the choice, of each family and of the best candidate."""
    rows = []
    for table in tables:
        if "partition" in table:
            _, families, features, scores, _ = table["partition"]
            own = {"choice": scores[predict(features).argmax()], "best": scores.max()}
            rows.append(own | {family: scores[families.index(family)] for family in set(families)})
    names = sorted({name for row in rows for name in row} - {"head"})
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def leave_out(tables):
    """Print, for each kind, what a criterion chooses that was fitted to all other kinds."""
    for kind in sorted({table["kind"] for table in tables if table["k"] > 1}):
        trees = fit([table for table in tables if table["kind"] != kind], "partition")
        means = judge([table for table in tables if table["kind"] == kind], trees.predict)
        print(json.dumps({"left out": kind} | means), flush=True)


# ---- probabilities


def describe_predictions(kind, seed):
    """Return the inputs of the calibration for the samples of a drawn set, and which are right."""
    data, stream = draw(kind, seed), np.random.RandomState(seed)
    views, y = find_views(data, data.n_clusters, stream)
    given = views, data.X.shape[1], data.n_clusters, stream
    vote = selection.vote(*given)
    is_right = match_labels(y, vote.labels) == y
    return selection.describe_labels(vote), is_right


def calibrate(seeds):
    """Return the coefficients of the logistic regression of right labels, (4,)."""
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        kinds = [kind for kind in KINDS if not kind.startswith("one_")]
        parts = [describe_predictions(kind, FRESH + seed) for seed in seeds for kind in kinds]
    inputs, is_right = (np.concatenate(part) for part in zip(*parts, strict=True))
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for _, part in parts])
    regression = LogisticRegression(fit_intercept=False, C=1e3)
    return regression.fit(inputs, is_right, sample_weight=weights).coef_[0]


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-99", help="as 0-99 or 3 (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--calibration-seeds", default="0-9", help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "criterion")
    parser.add_argument("--leave-one-out", action="store_true")
    return parser.parse_args(arguments)


def main(options):
    """Draw, fit and write, or judge kinds left out."""
    options.folder.mkdir(parents=True, exist_ok=True)
    draws = (delayed(tabulate_seed)(s, options.folder) for s in parse_seeds(options.seeds))
    tables = [table for part in Parallel(options.jobs)(draws) for table in part]
    if options.leave_one_out:
        leave_out(tables)
        return
    forests = {purpose: fit(tables, purpose) for purpose in ("partition", "number")}
    arrays = {"calibration": np.array([1.0, 0, 0, 0])}
    for purpose, trees in forests.items():
        arrays |= {f"{purpose} {name}": nodes for name, nodes in flatten(trees).items()}
    np.savez_compressed(FILE, **arrays)
    selection.load_criterion.cache_clear()
    arrays["calibration"] = calibrate(parse_seeds(options.calibration_seeds))
    np.savez_compressed(FILE, **arrays)
    report = {"data sets": len(tables), "bytes": FILE.stat().st_size}
    report |= {"calibration": arrays["calibration"].tolist()}
    report |= {"scores": judge(tables, forests["partition"].predict)}
    for purpose, trees in forests.items():
        names = next(table[purpose][-1] for table in tables if purpose in table)
        report |= {purpose: measure_gains(trees, names)}
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(parsed())

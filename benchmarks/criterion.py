"""Draw data sets, fit the criterion that judges partitions, and write its numbers.

    python benchmarks/criterion.py --jobs 2
    python benchmarks/criterion.py --leave-one-out

Every kind of ``lib/drawn.py`` is drawn with every seed, as often as WEIGHTS says, judged with and
without features, and kept in ``build/criterion``. Gradient boosting learns the adjusted Rand index
with the known clusters from the package's features of candidates with many numbers of clusters,
and whether there is a single cluster. The criterion is written to
``skdeepcluster/partition/criterion.npz``, and what each feature is worth to
``results/criterion.json``. ``--leave-one-out`` judges kinds by a criterion that has not seen them,
and writes nothing.
"""

import argparse
import json
import pickle
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))  # the folder that holds lib
from lib.drawn import KINDS, TABLES, draw
from lib.options import parse_seeds

from skdeepcluster.input import Preparation
from skdeepcluster.metrics import match_labels
from skdeepcluster.neighbors.graph import GraphSettings
from skdeepcluster.neighbors.samples import connect
from skdeepcluster.nn.augmentation import RandomAffine, RandomShift
from skdeepcluster.partition import selection
from skdeepcluster.partition.candidates import find_candidates
from skdeepcluster.partition.coordinates import StepSizes, make_coordinates
from skdeepcluster.partition.search import Unconstrained
from skdeepcluster.partition.selection import Criterion, describe_one

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "benchmarks" / "results" / "criterion.json"
FILE = ROOT / "skdeepcluster" / "partition" / "criterion.npz"
#: How often a kind is drawn for each seed; once if it is not named.
WEIGHTS = {"tables": 5, "embeddings": 5, "images": 3, "digits": 3, "factors": 2, "one_table": 2}
WEIGHTS |= {"one_body": 3, "one_skewed": 2, "shifted": 2}
WEIGHTS |= {"mixed": 8, "coded": 6, "one_mixed": 3, "one_coded": 3}
#: How often where only one cluster is told from several.
ONE_WEIGHTS = {"one_table": 6, "one_body": 3, "one_skewed": 6, "mixed": 4, "coded": 3}
ONE_WEIGHTS |= {"one_mixed": 3, "one_coded": 3}
#: Changes that do not matter in the graphs of draws without features, by kind; none for others.
CHANGES = {"digits": RandomAffine((1, 8, 8)), "shifted": RandomShift(0.2)}
#: Numbers of samples in the slower steps of every second draw, scored as large data sets are.
FEW = StepSizes(fitted=1500, linked=1000, merged=500)
ALL = StepSizes()
#: Numbers of clusters, and the share of them that are tried.
NUMBERS, TRIED = [*range(1, 13), 15, 18, 22, 27, 33, 40, 48, 58, 60], 0.6
#: Number of partitions of each kind that are no candidates: cuts of other trees, and candidates
#: that are changed at random.
N_OTHERS = 2
#: Offset of the seeds of the data sets of these, and of those on which probabilities are
#: calibrated.
OTHER, FRESH = 50_000, 100_000
#: Settings of the boosted trees.
BOOSTING = {"learning_rate": 0.06, "l2_regularization": 5.0, "early_stopping": False}
LARGE = {"max_leaf_nodes": 16, "min_samples_leaf": 40, "max_features": 0.15}
SIZES = {
    "score": {"max_iter": 1000, **LARGE},
    "layout": {"max_iter": 300, **LARGE},
    "one": {"max_iter": 100, "max_leaf_nodes": 6, "min_samples_leaf": 20, "max_features": 0.3},
}
#: Number of parts of the drawn sets, each scored by trees that have not seen it.
FOLDS = 2


def look(data, n_clusters, has_features, stream, sizes=ALL):
    """Return the coordinates of a data set, their criterion, and the classes of their samples.

    A data set comes through the door of every fit, the preparation.
    """
    door = Preparation(learns_kinds=has_features)
    X = door.fit_transform(data.X)
    settings = GraphSettings(n_neighbors=15, groups=door.table_groups)
    if not has_features:
        augment = CHANGES.get(data.kind, Tensor.clone)
        n_views = 16 if data.kind in CHANGES else 0
        settings = settings._replace(augment=augment, n_views=n_views)
    samples = connect(X, n_clusters, settings, stream)
    coords = make_coordinates(samples, settings, stream, sizes)
    return coords, Criterion(coords, samples.n_features), data.y[samples.reference.kept]


def choose_sizes(data, seed):
    """Return the numbers of samples in the slower steps: few in every second draw."""
    return FEW if seed % 2 and len(data.y) > 2 * FEW.merged else ALL


def tabulate(kind, seed, has_features):
    """Return the features and scores of many partitions of a drawn data set.

    Every other draw is scored by few of its samples, as large data sets are. Partitions are the
    ensembles of most numbers of clusters, all candidates with the right number, and others. "one"
    has what tells whether there is one cluster.
    """
    data, stream = draw(kind, seed), np.random.RandomState(seed)
    k = data.n_clusters
    sizes = choose_sizes(data, seed)
    coords, own, y = look(data, k if k > 1 else "auto", has_features, stream, sizes)
    y = y[own.positions]
    tables = [arrange(own, n, own.find_ensemble(n).labels, y) for n in list_tried(own, k, stream)]
    if k > 1:
        found = list(find_candidates(coords, k, stream))
        labels = np.array([part.labels[own.positions] for part in found])
        tables.append(arrange(own, k, labels, y, [part.method for part in found]))
    tables += [arrange(own, len(set(part)), part[None], y) for part in draw_others(own, stream)]
    entries = [np.concatenate(part) for part in zip(*tables, strict=True)]
    return {"kind": kind, "seed": seed, "k": k, "one": find_one(own), "entries": entries}


def tabulate_one(kind, seed, has_features):
    """Return what tells whether a drawn data set is one cluster, without its other partitions."""
    data, stream = draw(kind, seed), np.random.RandomState(seed)
    _, own, _ = look(data, "auto", has_features, stream, choose_sizes(data, seed))
    return {"kind": kind, "seed": seed, "k": data.n_clusters, "one": find_one(own)}


def list_tried(own, k, stream):
    """Return some of the numbers of clusters that "auto" tries, with the right one."""
    numbers = {n for n in NUMBERS if stream.uniform() < TRIED}
    return sorted(n for n in numbers | {k} if 1 < n <= own.max_clusters)


def draw_others(own, stream):
    """Yield cuts of trees that are no candidates, and candidates that are changed at random."""
    wide = own.coords.wide
    for method in ("single", "complete", "average"):
        tree = linkage(wide, method)
        for n in stream.randint(2, min(13, own.max_clusters), size=N_OTHERS):
            labels = fcluster(tree, n, "maxclust") - 1
            if labels.any():
                yield labels
    ensembles = list(own.ensembles.values())
    for _ in range(3 * N_OTHERS):
        ensemble = ensembles[stream.randint(len(ensembles))]
        labels = ensemble.labels[stream.randint(len(ensemble.labels))].copy()
        moved = stream.uniform(size=len(labels)) < stream.uniform(0, 0.6)
        labels[moved] = stream.permutation(labels[moved])
        labels = np.unique(labels, return_inverse=True)[1]
        if labels.any():
            yield labels


def arrange(own, n_clusters, labels, y, families=None):
    """Return the numbers of clusters, families ("" if unknown), features and scores."""
    values = own.find_ensemble(n_clusters).compare(labels)
    scores = np.array([adjusted_rand_score(y, part) for part in labels])
    names = families or [""] * len(labels)
    return np.full(len(labels), n_clusters), np.array(names, dtype="U20"), values, scores


def find_one(own):
    """Return what tells whether there is one cluster, see :func:`describe_one` of the package."""
    found = own.list_one_ensembles()
    members = {k: Bunch(features=each.features, names=each.names) for k, each in found.items()}
    return Bunch(data=own.measured.data, ensembles=members)


def tabulate_seed(seed, folder, measure=tabulate, weights=WEIGHTS):
    """Return the tables of all kinds for a seed, from the folder if they are there."""
    path = folder / f"{measure.__name__} {seed}.pkl"
    if path.exists():
        return pickle.loads(path.read_bytes())
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        draws = [(kind, 1000 * i + seed) for kind in KINDS for i in range(weights.get(kind, 1))]
        tables = [measure(*draw, has_features=True) for draw in draws]
        # Augmented views and distances are judged by the graph and its layouts alone.
        draws = [draw for draw in draws if draw[0] not in TABLES]
        tables += [measure(*draw, has_features=False) for draw in draws]
    path.write_bytes(pickle.dumps(tables))
    print(f"seed {seed}: {len(tables)} data sets", flush=True)
    return tables


# ---- the criterion


def stack(tables):
    """Return the features (C, F), scores (C,) and weights (C,) of the partitions of all tables.

    A data set counts by how much its partitions differ, however many they are: half by those with
    the right number of clusters. One with a single cluster counts as much as most.
    """
    weights = []
    for table in tables:
        numbers, _, _, scores = table["entries"]
        own = np.full(len(scores), 1 / len(scores))
        right = numbers == table["k"]
        spread = 0.5
        if right.any():
            own = (own + right / right.sum()) / 2
            spread = np.ptp(scores[right]) / 2 + np.ptp(scores) / 2 + 0.02
        weights.append(own * spread)
    parts = [table["entries"] for table in tables]
    features, scores = (np.concatenate([part[i] for part in parts]) for i in (2, 3))
    return features, scores, np.concatenate(weights)


def judged_by(table):
    """Return which trees judge a table: "score", or "layout" without features."""
    return "score" if table["one"].data["has features"] else "layout"


def fit(tables):
    """Return the boosted trees fitted to the partitions of the tables, by what they score."""
    forests = {}
    for purpose in ("score", "layout"):
        own = [table for table in tables if judged_by(table) == purpose]
        features, scores, weights = stack(own)
        trees = HistGradientBoostingRegressor(random_state=0, **BOOSTING, **SIZES[purpose])
        forests[purpose] = trees.fit(features, scores, sample_weight=weights)
    return forests


def fit_folds(tables):
    """Return forests for each fold of the tables, fitted to all others."""
    folds = np.arange(len(tables)) % FOLDS
    return [fit([tables[i] for i in np.flatnonzero(folds != fold)]) for fold in range(FOLDS)]


def rate_by(trees, ensembles, n_clusters):
    """Return the expected scores of the members of an ensemble by trees."""
    return trees.predict(ensembles[n_clusters].features).clip(0, 1)


def fit_one(tables, folds):
    """Return the trees of the probability of one cluster, by scores out of fold, and names."""
    rows = []
    for i, table in enumerate(tables):
        one = table["one"]
        rate = partial(rate_by, folds[i % FOLDS][judged_by(table)], one.ensembles)
        rows.append(describe_one(one.data, one.ensembles, rate))
    is_one = [table["k"] == 1 for table in tables]
    trees = HistGradientBoostingClassifier(random_state=0, **BOOSTING, **SIZES["one"])
    values = np.array([[*row.values()] for row in rows], dtype=np.float32)
    return trees.fit(values, is_one), [*rows[0]]


def flatten(trees):
    """Return the nodes of all trees as the arrays that ``add_trees`` reads."""
    # scikit-learn has no public access to these nodes.
    parts = [predictor.nodes for (predictor,) in trees._predictors]
    starts = np.cumsum([0, *map(len, parts)])
    nodes = np.concatenate(parts)
    places = np.concatenate([np.arange(len(part)) for part in parts])
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "roots": starts[:-1].astype(np.uint16),
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.uint16),
        "threshold": np.where(is_leaf, 0, nodes["num_threshold"]).astype(np.float32),
        "left": np.where(is_leaf, 0, nodes["left"] - places).astype(np.uint16),
        "right": np.where(is_leaf, 0, nodes["right"] - places).astype(np.uint16),
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


def judge_choice(tables, predicts):
    """Return mean scores with the right number given: the choice, each family, the best."""
    rows = []
    for table, predict in zip(tables, predicts, strict=True):
        _, families, features, scores = table["entries"]
        is_own = families != ""
        if is_own.any():
            families, scores = families[is_own], scores[is_own]
            own = {"choice": scores[predict(features[is_own]).argmax()], "best": scores.max()}
            rows.append(own | {name: scores[families == name][0] for name in set(families)})
    names = sorted({name for row in rows for name in row})
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def leave_out(tables):
    """Print, for each kind, what a criterion chooses that was fitted to all other kinds."""
    for kind in sorted({table["kind"] for table in tables if table["k"] > 1}):
        own = [table for table in tables if table["kind"] == kind]
        forests = fit([table for table in tables if table["kind"] != kind])
        means = judge_choice(own, [forests[judged_by(table)].predict for table in own])
        print(json.dumps({"left out": kind} | means), flush=True)


# ---- probabilities


def describe_predictions(kind, seed):
    """Return the inputs of the calibration for the samples of a drawn set, and which are right."""
    data, stream = draw(kind, seed), np.random.RandomState(seed)
    coords, own, y = look(data, data.n_clusters, True, stream)
    vote, *_ = selection.vote(coords, own, data.n_clusters, stream, Unconstrained())
    is_right = match_labels(y, vote.labels) == y
    return selection.describe_labels(vote), is_right


def calibrate(seeds):
    """Return the coefficients of the logistic regression of right labels, (4,), and names."""
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        kinds = [kind for kind in KINDS if not kind.startswith("one_")]
        parts = [describe_predictions(kind, FRESH + seed) for seed in seeds for kind in kinds]
    inputs = np.concatenate([np.stack([*part.values()], 1) for part, _ in parts])
    is_right = np.concatenate([part for _, part in parts])
    weights = np.concatenate([np.full(len(part), 1 / len(part)) for _, part in parts])
    regression = LogisticRegression(fit_intercept=False, C=1e3)
    found = regression.fit(inputs, is_right, sample_weight=weights).coef_[0].round(6)
    return found, [*parts[0][0]]


def parsed(arguments=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-10", help="as 0-10 or 3 (%(default)s)")
    parser.add_argument("--one-seeds", default="0-15", help="of one or several clusters")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--calibration-seeds", default="0-4", help="(%(default)s)")
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
    draws = (
        delayed(tabulate_seed)(OTHER + s, options.folder, tabulate_one, ONE_WEIGHTS)
        for s in parse_seeds(options.one_seeds)
    )
    others = [table for part in Parallel(options.jobs)(draws) for table in part]
    folds = fit_folds(tables)
    one, one_names = fit_one([*tables, *others], folds)
    forests = fit(tables) | {"one": one}
    names = next(iter(tables[0]["one"].ensembles.values())).names
    arrays = {"calibration": np.array([1.0, 0, 0, 0])}
    for purpose, trees in forests.items():
        arrays |= {f"{purpose} {name}": nodes for name, nodes in flatten(trees).items()}
    for purpose, own in (("score", names), ("layout", names), ("one", one_names)):
        arrays[f"{purpose} names"] = np.array(own)
    np.savez_compressed(FILE, **arrays)
    selection.load_parameters.cache_clear()
    selection.check_names.cache_clear()
    arrays["calibration"], inputs = calibrate(parse_seeds(options.calibration_seeds))
    np.savez_compressed(FILE, **arrays, **{"calibration names": np.array(inputs)})
    report = {"data sets": len(tables), "bytes": FILE.stat().st_size}
    report |= {"calibration": arrays["calibration"].tolist()}
    predicts = [folds[i % FOLDS][judged_by(own)].predict for i, own in enumerate(tables)]
    report |= {"scores out of fold": judge_choice(tables, predicts)}
    report |= {"score": measure_gains(forests["score"], names)}
    REPORT.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(parsed())

r"""What the learned choice of a partition is worth, on sets that it was not trained on.

    python benchmarks/accuracy/choice.py --out choice.jsonl
    python benchmarks/accuracy/choice.py --battery FOLDER --out choice.jsonl \
        --summary benchmarks/results/choice.jsonl

Parts: "sets", the partition of real sets with K given, beside KMeans; "numbers", the number of
clusters found; "one", the number found in samples without clusters; "blobs", the number found in
blobs of unequal size and spread; "overlap", how far seeds agree on overlapping blobs. Fits that
the file holds are not run again. FOLDER is a checkout of the battery gagolews/clustering-data-v1.
Its sets in BATTERY are standardized; noise points are fitted and not scored. ``--rest`` takes the
other sets of the same folders instead, which nobody looked at while the criterion was developed,
at most 10,000 samples of each. Labels judge and do nothing else.
"""

import json
import sys
from functools import partial
from itertools import combinations, product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete, judged, read, timed
from lib.sets import GROUPS, load_set
from lib.tables import RIGHT, as_frame

from skdeepcluster import NeighborClustering

#: Sets of the battery on which the criterion may be judged while it is developed.
BATTERY = {
    "fcps": "atom chainlink engytime hepta lsun tetra twodiamonds wingnut",
    "graves": "dense fuzzyx line ring ring_noisy ring_outliers zigzag zigzag_noisy "
    "zigzag_outliers",
    "sipu": "a1 a2 a3 aggregation compound flame pathbased r15 s1 s2 spiral",
    "wut": "circles cross isolation mk1 mk4 stripes trajectories x1 z1 z2",
    "other": "chameleon_t4_8k hdbscan iris5 square",
}
#: Maximum number of samples of the other sets.
MAX_REST = 10_000
#: Distributions without clusters.
WITHOUT = ("normal", "uniform", "exponential", "lognormal")
#: Numbers of their features.
FEATURES = (1, 2, 3, 5, 10, 20)
PARTS = ("sets", "numbers", "one", "blobs", "overlap")
#: Draws of the last two parts.
N_BLOBS = 40
N_OVERLAPS = 10


def load_all(battery):
    """Yield groups and sets; classes of -1 are noise that is not scored."""
    for name in GROUPS["eleven"]:
        yield "eleven", load_set(name)
    for folder, names in BATTERY.items() if battery else ():
        for name in names.split():
            yield "battery", load_path(battery / folder / name)


def load_rest(battery):
    """Yield the sets of the battery that are not in BATTERY."""
    for folder, names in BATTERY.items():
        known = names.split()
        for path in sorted((battery / folder).glob("*.labels0.gz")):
            name = path.name.partition(".")[0]
            if name not in known:
                data = load_path(battery / folder / name)
                order = np.random.RandomState(0).permutation(len(data.y))[:MAX_REST]
                yield "rest", Bunch(**data | {"X": data.X[order], "y": data.y[order]})


def load_path(path):
    """Return a set of the battery."""
    X = StandardScaler().fit_transform(np.loadtxt(f"{path}.data.gz", ndmin=2))
    y = np.loadtxt(f"{path}.labels0.gz", dtype=int) - 1
    return Bunch(X=X, y=y, n_clusters=int(y.max()) + 1, name=path.name)


def fit(X, n_clusters, seed):
    """Return NeighborClustering, fitted, and its number of clusters, score and seconds."""
    clusterer = NeighborClustering(n_clusters, random_state=seed)
    made, seconds = timed(clusterer.fit, X)
    record = {"found": made.n_clusters_, "expected": made.expected_score_, "seconds": seconds}
    return made, record


def judge_answers(data, made):
    """Return the best ARI among the labels and two alternatives."""
    known = data.y >= 0
    answers = [made.labels_, *(other.labels for other in made.alternatives_[:2])]
    scores = [adjusted_rand_score(data.y[known], own[known]) for own in answers]
    return {"best_of_three": max(scores)}


def partition(data, seed):
    """Return the record of a partition with K given, and of KMeans."""
    made, record = fit(data.X, data.n_clusters, seed)
    means = KMeans(data.n_clusters, n_init=10, random_state=seed).fit_predict(data.X)
    known = data.y >= 0
    theirs = judged(data.y[known], means[known])
    record |= {f"kmeans_{key}": value for key, value in theirs.items()}
    record |= judge_answers(data, made)
    return record | judged(data.y[known], made.labels_[known])


def count(data, seed):
    """Return the record of a number of clusters that was found."""
    made, record = fit(data.X, "auto", seed)
    known = data.y >= 0
    record |= {"classes": data.n_clusters} | judge_answers(data, made)
    return record | judged(data.y[known], made.labels_[known])


def draw_one(distribution, n_features, seed):
    """Return 300 samples without clusters."""
    random = np.random.default_rng([WITHOUT.index(distribution), n_features, seed])
    return getattr(random, distribution)(size=(300, n_features))


def one(distribution, n_features, seed):
    """Return the record of the number of clusters found in samples without clusters."""
    return fit(draw_one(distribution, n_features, seed), "auto", 0)[1]


def draw_blobs(draw):
    """Return blobs of unequal size and spread."""
    random = np.random.RandomState(draw)
    n_features, n_blobs = random.choice([2, 4, 8, 16, 30]), random.randint(2, 13)
    sizes = random.randint(40, 250, n_blobs)
    spreads = random.uniform(0.3, 2, n_blobs) * (0.4 if n_features == 2 else 1)
    X, y = make_blobs(sizes, n_features, cluster_std=spreads, random_state=random)
    return Bunch(X=X, y=y, n_clusters=int(n_blobs))


def blobs(draw):
    """Return the record of the number of clusters found in drawn blobs."""
    data = draw_blobs(draw)
    made, record = fit(data.X, "auto", 0)
    return record | {"classes": data.n_clusters} | judged(data.y, made.labels_)


def overlap(draw, seeds):
    """Return the record of the agreement of seeds on blobs that overlap."""
    options = {"centers": 4, "cluster_std": 2, "center_box": (-5, 5), "random_state": draw}
    X, y = make_blobs(240, 4, **options)
    labels = [fit(X, 4, seed)[0].labels_ for seed in seeds]
    agreement = [adjusted_rand_score(*pair) for pair in combinations(labels, 2)]
    return judged(y, labels[0]) | {"agreement": float(np.mean(agreement))}


def tasks(options):
    """Yield what tells records apart, and functions that make them."""
    for part, measure in (("sets", partition), ("numbers", count)):
        load = load_rest if options.rest else load_all
        for group, data in load(options.battery) if part in options.parts else ():
            for seed in options.seeds if part == "sets" else options.seeds[:1]:
                yield (part, group, data.name, seed), partial(measure, data, seed)
    for own, measure in drawn_tasks(options.seeds):
        if own[0] in options.parts:
            yield own, measure


def drawn_tasks(seeds):
    """Yield the tasks of the parts that draw their sets."""
    for name, d, seed in product(WITHOUT, FEATURES, seeds):
        yield ("one", name, str(d), seed), partial(one, name, d, seed)
    for draw in range(N_BLOBS):
        yield ("blobs", "blobs", "unequal", draw), partial(blobs, draw)
    for draw in range(N_OVERLAPS):
        yield ("overlap", "blobs", "overlapping", draw), partial(overlap, draw, seeds)


def summarize(records):
    """Yield the summaries: means over seeds, then over sets."""
    frame = as_frame(records)
    of = {part: frame[frame.part == part] for part in PARTS}
    names = ["acc", "ari", "kmeans_acc", "kmeans_ari", "expected", "best_of_three"]
    seen = set()
    for group in ("eleven", "battery", "rest"):
        own = of["sets"][of["sets"].group == group]
        if len(own):
            means = own.groupby("data", sort=False)[names].mean()
            yield {"row": f"mean of the {group}"} | means.mean().to_dict()
            means.index = [f"{name} ({group})" if name in seen else name for name in means.index]
            seen |= {*means.index}
            yield from means.rename_axis("row").reset_index().to_dict("records")
        own = of["numbers"][of["numbers"].group == group]
        if len(own):
            near = (own.found - own.classes).abs() <= RIGHT * own.classes
            shares = {"within 25 %": near.mean(), "exact": (own.found == own.classes).mean()}
            gaps = (own.found - own.classes).abs()
            shares |= {"within one": (gaps <= 1).mean(), "error of K": gaps.mean()}
            shares |= own[["ari", "best_of_three", "expected"]].mean().to_dict()
            yield {"row": f"numbers of the {group}"} | shares
    if len(own := of["sets"]):
        rank = spearmanr(own.expected, own.ari).statistic
        error = (own.expected - own.ari).abs().mean()
        yield {"row": "expected score", "rank correlation": float(rank), "error": error}
    for name, own in of["one"].groupby("group", sort=False):
        yield {"row": f"one cluster, {name}", "right": (own.found == 1).mean(), "draws": len(own)}
    if len(own := of["blobs"]):
        right = (own.found == own.classes).mean()
        yield {"row": "blobs of unequal size and spread", "right": right, "draws": len(own)}
    if len(own := of["overlap"]):
        yield {"row": "agreement of seeds", "agreement": own.agreement.mean()}


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-4")
    made.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    made.add_argument("--battery", type=Path, help="folder of the battery")
    made.add_argument("--rest", action="store_true", help="only its sets that are not in BATTERY")
    made.add_argument("--summary", type=Path, help="file to write the summaries to")
    return parse(made, arguments)


def main(options):
    """Run what is missing, then print the summaries."""
    keys = ("part", "group", "data", "seed")
    heads = (
        ({"row": own[0]} | dict(zip(keys, own, strict=True)), measure, "float64")
        for own, measure in tasks(options)
    )
    records = complete(options.out, keys, heads)
    lines = [json.dumps(row) + "\n" for row in summarize(read(options.out) or records)]
    print(*lines, sep="")
    if options.summary:
        options.summary.write_text("".join(lines))


if __name__ == "__main__":
    main(parsed())

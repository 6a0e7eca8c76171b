"""NeighborClustering with augmented views of images, next to the same without.

``python benchmarks/accuracy/views.py --out results/views.jsonl`` fits images of digits and
clothes. Further rows are networks that begin with the partition, such as ``--rows CatGAN``.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.clusterers import judge_parts
from lib.datasets import load
from lib.options import chosen, parse, parse_seeds, parser
from lib.records import complete, described, judged, timed
from lib.sets import GROUPS

from skdeepcluster import (
    CatGANClustering,
    DACClustering,
    InfoGANClustering,
    NeighborClustering,
    VaDEClustering,
    VAEEmbedding,
)
from skdeepcluster.nn import RandomAffine

IMAGES = {
    "digits": ("digits", None, (1, 8, 8)),
    "usps": ("usps", None, (1, 16, 16)),
    "mnist_10k": ("mnist", 10_000, (1, 28, 28)),
    "mnist": ("mnist", None, (1, 28, 28)),
    "mnist_unbalanced": ("mnist_unbalanced", None, (1, 28, 28)),
    "fashion_mnist_10k": ("fashion_mnist", 10_000, (1, 28, 28)),
    "fashion_mnist": ("fashion_mnist", None, (1, 28, 28)),
}
#: Number of images, not in the fit, whose predictions are judged.
N_NEW = 2_000
#: "found": the augmentation is found by the expected score.
ROWS = ("KMeans", "plain", "views", "views, auto", "found")
CONVOLUTIONAL = "CatGAN, convolutional"
#: They begin with the partition of "views".
NETWORKS = {
    CONVOLUTIONAL: CatGANClustering,
    "CatGAN": CatGANClustering,
    "InfoGAN": InfoGANClustering,
    "VaDE": VaDEClustering,
    "DAC": DACClustering,
    "VAE": VAEEmbedding,
}


def read_images(name):
    """Return the data, new images with classes, and the augmentation."""
    source, n_samples, shape = IMAGES[name]
    data = GROUPS["large"].get(source, partial(load, source))()
    order = np.random.RandomState(0).permutation(len(data.y))
    n_samples = n_samples or len(order)
    new = order[n_samples : n_samples + N_NEW]
    some = np.sort(order[:n_samples])
    fitted = Bunch(name=name, X=data.X[some], y=data.y[some], n_clusters=data.n_clusters)
    return fitted, (data.X[new], data.y[new]), RandomAffine(shape)


def measure_network(read, way, seed):
    """Return what a network finds that begins with the partition."""
    data, new, augment = read
    options = {"augment": augment, "random_state": seed}
    if way == CONVOLUTIONAL:
        options["image_shape"] = augment.image_shape
    fit, seconds = timed(NETWORKS[way](data.n_clusters, **options).fit, data.X)

    record = described(data) | judged(data.y, fit.labels_) | {"seconds": seconds}
    record |= judge_parts(fit, data.X, data.y, seed)
    return record | judge_new(fit, new)


def judge_new(fit, new):
    """Return the accuracy of predictions of new images, and the seconds for them."""
    if new is None or not len(new[0]):
        return {}
    labels, seconds = timed(fit.predict, new[0])
    return {"new_acc": judged(new[1], labels)["acc"], "predicting": seconds}


def make(way, k, augment, seed):
    """Make the clusterer of a row."""
    if way == "KMeans":
        return KMeans(k, n_init=10, random_state=seed)
    options = {"augment": augment}
    if way == "plain":
        options = {}
    elif way == "found":
        options = {"augment": "auto", "image_shape": augment.image_shape}
    number = "auto" if way == "views, auto" else k
    return NeighborClustering(number, random_state=seed, **options)


def measure(read, way, seed):
    """Return what one fit has found."""
    if way in NETWORKS:
        return measure_network(read, way, seed)

    data, new, augment = read
    estimator = make(way, data.n_clusters, augment, seed)
    fit, seconds = timed(estimator.fit, data.X)
    record = described(data) | judged(data.y, fit.labels_) | {"seconds": seconds}
    record["found"] = len(set(fit.labels_))
    if isinstance(fit, NeighborClustering):
        record["expected"] = fit.expected_score_
    if way == "found":
        record["kinds"] = fit.augment_scores_
        record["chosen"] = str(fit.augment_)
    return record | (judge_new(fit, new) if "views" in way else {})


def main(arguments=None):
    """Fit all sets in all ways."""
    made = parser(__doc__)
    made.add_argument("--sets", nargs="+", help=f"of {', '.join(IMAGES)} (all)")
    made.add_argument("--rows", nargs="+", help=f"of {', '.join(ROWS)} (all)")
    made.add_argument("--seeds", default="0-4", help="(%(default)s)")
    options = parse(
        made,
        arguments,
        seeds=parse_seeds,
        sets=lambda s: chosen(s, [*IMAGES], "--sets"),
        rows=lambda r: chosen(r or ROWS, (*ROWS, *NETWORKS), "--rows"),
    )
    for name in options.sets:
        read = read_images(name)
        tasks = [
            (
                {"data": name, "row": way, "seed": seed},
                partial(measure, read, way, seed),
                "float32" if way in NETWORKS else "float64",
            )
            for way in options.rows
            for seed in options.seeds
        ]
        complete(options.out, ("data", "row", "seed"), tasks)


if __name__ == "__main__":
    main()

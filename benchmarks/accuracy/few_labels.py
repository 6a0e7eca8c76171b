"""Test error with one, five or ten labels of each class, on images with views and on tables.

``python benchmarks/accuracy/few_labels.py`` draws labels of each class from the training images
of MNIST, or from four fifths of the other sets, fits to all training samples, and judges on the
others. ``--rows CatGANClassifier`` takes a quarter of an hour for a draw on MNIST.
"""

import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from accuracy.views import IMAGES
from lib.datasets import draw_labels, load
from lib.options import chosen, parse, parser
from lib.records import complete, timed
from lib.tables import as_frame, pivot

from skdeepcluster import CatGANClassifier, NeighborClustering
from skdeepcluster.nn import RandomAffine

N_TRAIN = 60_000  # images of MNIST before its test images
SETS = ("digits", "mnist", "iris", "wine", "breast_cancer", "statlog", "d31")
PER_CLASS = (1, 5, 10)
SPREADING = {"kernel": "knn", "n_neighbors": 15, "alpha": 0.9, "max_iter": 100}


def views(shape):
    """Return what does not change the class of an image; None for a table."""
    return None if shape is None else RandomAffine(shape)


def make_neighbors(k, shape, seed):
    """Make the clusterer that spreads labels, of images along views."""
    return NeighborClustering(k, use_labels=True, augment=views(shape), random_state=seed)


def make_catgan(_, shape, seed):
    """Make the classifier, convolutional for images, that begins with views."""
    return CatGANClassifier(image_shape=shape, augment=views(shape), random_state=seed)


def make_spreading(_, shape, seed):
    """Make scikit-learn's LabelSpreading on 50 principal components, or standardized columns."""
    first = StandardScaler()
    if shape is not None:
        first = PCA(min(50, np.prod(shape) - 1), random_state=seed)
    return make_pipeline(first, LabelSpreading(**SPREADING))


def make_plain(_, shape, seed):
    """Make a classifier of the labeled samples alone."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


#: Name -> classifier by the number of classes, the shape of images and a seed.
CLASSIFIERS = {
    "NeighborClustering": make_neighbors,
    "CatGANClassifier": make_catgan,
    "LabelSpreading": make_spreading,
    "LogisticRegression": make_plain,
}


def split(name):
    """Return training and test samples of a set."""
    data = load(name)
    if name == "mnist":
        parts = data.X[:N_TRAIN], data.X[N_TRAIN:], data.y[:N_TRAIN], data.y[N_TRAIN:]
    else:
        parts = train_test_split(data.X, data.y, test_size=0.2, random_state=0)
    X, X_test, y, y_test = parts
    shape = IMAGES[name][2] if name in IMAGES else None
    return Bunch(X=X, y=y, X_test=X_test, y_test=y_test, shape=shape)


def measure(name, data, per_class, seed):
    """Fit a classifier to a draw of labels; return its test error and seconds."""
    labels = draw_labels(data.y, per_class, seed)
    known = labels >= 0
    n_classes = len(set(data.y))
    classifier = CLASSIFIERS[name](n_classes, data.shape, seed)

    X = data.X
    if name == "LogisticRegression":
        X, labels = X[known], labels[known]
    _, seconds = timed(classifier.fit, X, labels)
    error = np.mean(classifier.predict(data.X_test) != data.y_test)
    return {"labels": int(known.sum()), "error": float(error), "seconds": seconds}


def main(arguments=None):
    """Run all draws and classifiers, then print a table."""
    made = parser(__doc__, seeds="0-2")
    made.add_argument("--sets", nargs="+", help=f"of {', '.join(SETS)} (all)")
    made.add_argument("--rows", nargs="+", help=f"of {', '.join(CLASSIFIERS)} (all)")
    options = parse(
        made,
        arguments,
        sets=lambda s: chosen(s, SETS, "--sets"),
        rows=lambda r: chosen(r, CLASSIFIERS, "--rows"),
    )
    found = []
    for name in options.sets:
        data = split(name)
        tasks = [
            (
                {"data": name, "row": row, "per_class": per_class, "seed": seed},
                partial(measure, row, data, per_class, seed),
                str(data.X.dtype),
            )
            for row, per_class, seed in itertools.product(options.rows, PER_CLASS, options.seeds)
        ]
        found += complete(options.out, ("data", "row", "per_class", "seed"), tasks)
    frame = as_frame(found)
    frame["row"] = frame["data"] + ", " + frame["row"]
    print(pivot(frame, "error", index="row", columns="per_class", digits=3, mean="no"))


if __name__ == "__main__":
    main()

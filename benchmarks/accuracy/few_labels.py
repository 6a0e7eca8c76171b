"""Test error of CatGANClassifier with few labels, compared with LabelSpreading.

``python benchmarks/accuracy/few_labels.py`` draws ten labels of each class from the 60,000
training images of MNIST, fits to all of them, and judges on the 10,000 test images.
"""

import sys
from pathlib import Path

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import draw_labels, load
from lib.options import chosen, parse, parse_seeds, parser
from lib.records import keep, timed

from skdeepcluster import CatGANClassifier
from skdeepcluster.modules.augmentation import RandomAffine

N_TRAIN = 60_000  # images of MNIST before its test images
SPREADING = {"kernel": "knn", "n_neighbors": 15, "alpha": 0.9, "max_iter": 100}
#: Name -> classifier with a random state.
CLASSIFIERS = {
    "CatGAN": lambda seed: CatGANClassifier(random_state=seed),
    "CatGAN augmented": lambda seed: CatGANClassifier(
        augment=RandomAffine((1, 28, 28)), random_state=seed
    ),
    "CatGAN convolutional": lambda seed: CatGANClassifier(
        augment=RandomAffine((1, 28, 28)), image_shape=(1, 28, 28), random_state=seed
    ),
    "LabelSpreading": lambda seed: make_pipeline(
        PCA(50, random_state=seed), LabelSpreading(**SPREADING)
    ),
}


def measure(name, data, draw, per_class, n_train=N_TRAIN):
    """Fit a classifier to a draw of labels; return its record."""
    X, y = data.X[:n_train], data.y[:n_train]
    some, classifier = draw_labels(y, per_class, draw), CLASSIFIERS[name](draw)
    _, seconds = timed(classifier.fit, X, some)
    record = {"row": name, "draw": draw, "labels": int((some >= 0).sum()), "seconds": seconds}
    record["error"] = float(1 - classifier.score(data.X[n_train:], data.y[n_train:]))
    if name.startswith("CatGAN"):
        record["start_error"] = float((classifier.start_labels_ != y).mean())
    return record


def main(arguments=None):
    """Run all draws and classifiers."""
    made = parser(__doc__)
    made.add_argument("--draws", default="0-4", help="seeds of the labels (%(default)s)")
    made.add_argument("--per-class", type=int, default=10, help="labels (%(default)s)")
    made.add_argument("--rows", nargs="+", help=f"of {', '.join(CLASSIFIERS)} (all)")
    options = parse(
        made, arguments, draws=parse_seeds, rows=lambda r: chosen(r, CLASSIFIERS, "--rows")
    )
    data = load("mnist")
    for draw in options.draws:
        for name in options.rows:
            keep(measure(name, data, draw, options.per_class), "float32", options.out)


if __name__ == "__main__":
    main()

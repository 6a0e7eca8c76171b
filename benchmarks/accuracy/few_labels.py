"""Test error of CatGANClassifier with few labels, beside classifiers of scikit-learn.

``python benchmarks/accuracy/few_labels.py --draws 0-4``: ten labelled images of each class,
drawn anew from the 60,000 training images of MNIST, the others without labels; errors on the
10,000 test images. ``--per-class 0`` keeps all labels. Rows, chosen by ``--rows``:
CatGANClassifier (with its start: the labels spread along the neighbour graph, on training
images), the same with images that are turned, scaled and shifted in training, MLPClassifier on the
labelled rows alone, LabelSpreading on 50 principal components, and SelfTrainingClassifier (three
rounds) around the same MLPClassifier. All settings of these are defaults but for what is written
here. Test images take no part in any fit.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.fits import timed
from lib.internals import precision_of
from lib.labels import TRAINING, labelled
from lib.options import bare_parser, parse_seeds, setting
from lib.records import keep

from skdeepcluster import CatGANClassifier
from skdeepcluster.modules.augmentation import RandomAffine


def perceptron(draw):
    """scikit-learn's network, with as wide layers as the discriminator's."""
    return MLPClassifier((500, 500), random_state=draw)


def classifiers(draw, settings):
    """Name -> classifier, and whether it needs labels for all rows that it sees."""
    spreading = LabelSpreading(kernel="knn", n_neighbors=15, alpha=0.9, max_iter=100)
    return {
        "CatGAN": (CatGANClassifier(random_state=draw, **settings), False),
        "CatGAN augmented": (
            CatGANClassifier(augment=RandomAffine((1, 28, 28)), random_state=draw, **settings),
            False,
        ),
        "MLP": (perceptron(draw), True),
        "LabelSpreading": (make_pipeline(PCA(50, random_state=draw), spreading), False),
        "SelfTraining": (
            SelfTrainingClassifier(perceptron(draw), threshold=0.95, max_iter=3),
            False,
        ),
    }


def main():
    """Run draws one after another, a JSON line for each classifier, then a summary."""
    parser = bare_parser(__doc__)
    names = list(classifiers(0, {}))
    parser.add_argument("--draws", default="0-4")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--settings", nargs="*", type=setting, default=[])
    options = parser.parse_args()
    data, errors = load("mnist"), {}
    X, y = data.X[:TRAINING], data.y[:TRAINING]
    X_test, y_test = data.X[TRAINING:], data.y[TRAINING:]
    for draw in parse_seeds(options.draws):
        some = labelled(y, options.per_class, draw)
        for name in options.rows:
            classifier, known_only = classifiers(draw, dict(options.settings))[name]
            known = some >= 0 if known_only else slice(None)
            _, seconds = timed(partial(classifier.fit, y=some[known]), X[known])
            record = {"row": name, "draw": draw, "labels": int((some >= 0).sum())}
            record["seconds"] = seconds
            record["error"] = float(1 - classifier.score(X_test, y_test))
            if name.startswith("CatGAN"):
                record["start_error"] = float((classifier.start_labels_ != y).mean())
            keep(record, precision_of(classifier, X), options.results)
            errors.setdefault(name, []).append(record["error"])
    for name, values in errors.items():
        print(f"{name}: median {np.median(values):.4f} of {len(values)}, {np.round(values, 4)}")


if __name__ == "__main__":
    main()

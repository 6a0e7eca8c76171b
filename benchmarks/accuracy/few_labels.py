"""Test error of CatGANClassifier with few labels, beside classifiers of scikit-learn.

``python benchmarks/accuracy/few_labels.py --draws 0-4``: ten labelled images of each class,
drawn anew from the 60,000 training images of MNIST, the others without labels; errors on the
10,000 test images. ``--per-class 0`` keeps all labels. Rows, chosen by ``--rows``:
CatGANClassifier (with its start: the labels spread along the neighbour graph, on training
images), MLPClassifier on the labelled rows alone, LabelSpreading on 50 principal components, and
SelfTrainingClassifier (three rounds) around the same MLPClassifier. All settings of these are
defaults but for what is written here. Test images take no part in any fit. ``--pretrained FOLDER``
stores auto-encoders there, for this script and ``ablation.py catgan --test 10000``.
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
from lib.pretraining import LabelledCatGAN, share_pretraining
from lib.records import keep


def perceptron(draw):
    """scikit-learn's network, with as wide layers as the discriminator's."""
    return MLPClassifier((500, 500), random_state=draw)


def classifiers(draw, settings):
    """Name -> classifier, and whether it needs labels for all rows that it sees."""
    spreading = LabelSpreading(kernel="knn", n_neighbors=15, alpha=0.9, max_iter=100)
    return {
        "CatGAN": (LabelledCatGAN(random_state=draw, **settings), False),
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
    parser.add_argument("--pretrained", type=Path, help="folder of auto-encoders")
    options = parser.parse_args()
    share_pretraining(options.pretrained)
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
            if name == "CatGAN":
                record["start_error"] = float((classifier.start_labels_ != y).mean())
            keep(record, precision_of(classifier, X), options.results)
            errors.setdefault(name, []).append(record["error"])
    for name, values in errors.items():
        print(f"{name}: median {np.median(values):.4f} of {len(values)}, {np.round(values, 4)}")


if __name__ == "__main__":
    main()

"""How well generated images belong to their cluster, and resemble real ones.

``python benchmarks/accuracy/samples.py`` fits convolutional networks to images of digits and
clothes, generates images of each cluster, and judges them: "own" is the share that a support
vector machine, trained on real images and classes, puts into the class that most images of the
cluster have; "distance" is the kernel distance (M. Binkowski and others, "Demystifying MMD GANs",
ICLR 2018) of generated to real images in 50 principal components, a thousandth, beside that of
other real images. ``--picture FILE`` draws images of the last fit.
"""

import sys
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from accuracy.views import IMAGES, read_images
from lib.datasets import load
from lib.options import chosen, parse, parser
from lib.records import complete, described, judged, timed

from skdeepcluster import DACClustering, InfoGANClustering, VaDEClustering
from skdeepcluster.display import SamplesDisplay

#: Images, as in ``views.py``.
SETS = ("digits", "mnist_10k", "fashion_mnist_10k", "mnist")
METHODS = {
    "VaDE": VaDEClustering,
    "DAC": DACClustering,
    "InfoGAN": InfoGANClustering,
}
#: Generated images of each cluster.
PER_CLUSTER = 200
#: Generated images of each cluster in a picture.
DRAWN = 10
#: Images that the judge learns from.
N_JUDGED = 20_000


def read(name):
    """Return the images of a fit, their augmentation, and a classifier of all images."""
    data, _, augment = read_images(name)
    whole = load(IMAGES[name][0])
    known = np.random.RandomState(0).permutation(len(whole.y))[::-1][:N_JUDGED]
    judge = make_pipeline(PCA(50, random_state=0), SVC(C=10))
    judge.fit(whole.X[known], whole.y[known])
    return Bunch(**data, augment=augment, judge=judge)


def measure_distance(judge, X, others):
    """Return the unbiased kernel distance of two sets of images, at most 2,000 of each."""
    pca = judge[0]
    first, second = (pca.transform(part[:2000]) for part in (X, others))
    scale = pca.explained_variance_.sum()
    kernel = partial(polynomial_kernel, degree=3, gamma=1 / scale, coef0=1)
    means = []
    for part in (first, second):
        squares = kernel(part)
        n = len(part)
        means.append((squares.sum() - np.trace(squares)) / (n * (n - 1)))
    return float(1000 * (sum(means) - 2 * kernel(first, second).mean()))


def draw(images, kinds, shape, path):
    """Draw images of each cluster (10, n, D), in the order of the kinds (10,) of most of them."""
    order = np.argsort(kinds, kind="stable")
    shown = np.concatenate([images[k][:DRAWN] for k in order])
    figure, axes = plt.subplots(figsize=(4.4, 4.4), layout="constrained")
    labels = np.repeat(np.arange(10), DRAWN)
    SamplesDisplay(shown, labels, image_shape=shape[1:]).plot(axes, vmin=0, vmax=1)
    figure.savefig(path, dpi=120)


def measure(data, method, augmented, picture, seed):
    """Return how well a network generates."""
    options = {"image_shape": data.augment.image_shape, "random_state": seed}
    if augmented:
        options["augment"] = data.augment
    estimator = METHODS[method](10, **options)
    fit, seconds = timed(estimator.fit, data.X)

    drawn = [fit.sample(PER_CLUSTER, cluster=k)[0] for k in range(10)]
    kinds = []
    own = []
    for k, images in enumerate(drawn):
        members = data.y[fit.labels_ == k]
        kind = np.bincount(members, minlength=10).argmax()
        kinds.append(kind)
        own.append(np.mean(data.judge.predict(images) == kind) if len(images) else 0.0)
    if picture:
        draw(drawn, kinds, data.augment.image_shape, picture)
    mixed = np.random.RandomState(0).permutation(np.concatenate(drawn))

    shuffled = np.random.RandomState(0).permutation(data.X)
    record = described(data) | judged(data.y, fit.labels_)
    record["start_acc"] = judged(data.y, fit.init_labels_)["acc"]
    record["own"] = float(np.mean(own))
    half = len(shuffled) // 2
    record["distance"] = measure_distance(data.judge, mixed, shuffled[:half])
    record["real"] = measure_distance(data.judge, shuffled[half:], shuffled[:half])
    return record | {"seconds": seconds}


def main(arguments=None):
    """Fit all networks to all sets."""
    made = parser(__doc__, seeds="0-2")
    made.add_argument("--sets", nargs="+", help=f"of {', '.join(SETS)} (all)")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all)")
    made.add_argument("--augmented", action="store_true", help="with shifts and rotations")
    made.add_argument("--picture", help="file for a picture of images of the last fit")
    options = parse(
        made,
        arguments,
        sets=lambda s: chosen(s, SETS, "--sets"),
        methods=lambda m: chosen(m, METHODS, "--methods"),
    )
    suffix = ", augmented" if options.augmented else ""
    for name in options.sets:
        data = read(name)
        tasks = [
            (
                {"data": name, "row": method + suffix, "seed": seed},
                partial(measure, data, method, options.augmented, options.picture, seed),
                "float32",
            )
            for method in options.methods
            for seed in options.seeds
        ]
        complete(options.out, ("data", "row", "seed"), tasks)


if __name__ == "__main__":
    main()

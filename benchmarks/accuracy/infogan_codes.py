"""What the codes of an InfoGAN on MNIST stand for, with and without the information term.

``python benchmarks/accuracy/infogan_codes.py --seeds 0-2`` prints, per seed and for
each of ``--mi-weights`` (1 and 0), the code report, the lower bound on the information of cluster
and generated digits (at most log 10 = 2.30 nats), and the correlations of the continuous codes
with

- slant: the shear sum (x - x')(y - y') / sum (y - y')^2 of a digit, weighted by its ink;
- ink, the sum of a digit's grey levels;
- thickness, the width of its strokes: 2 area / perimeter, for grey levels 2 ink / total variation

over all generated digits, and within clusters (less the mean of each cluster: a one has little
ink however thick). ``--picture`` writes the traversals of the first seed, the grid of the
other weight beside them. ``--from-scratch`` trains as published; ``--pretrained FOLDER`` and
``--starts METHOD`` as in ``ablation.py``; "acc" is added for the record. No label is
used but to count.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.fits import kept_start
from lib.internals import precision_of
from lib.methods import PUBLISHED
from lib.options import add_precision, add_shared_starts, parse_seeds
from lib.options import parser as common_parser
from lib.pretraining import InfoGAN, share_pretraining
from lib.records import judged, keep

from skdeepcluster.display import TraversalDisplay

DRAWS = 3000


def shapes(rows, image_shape):
    """Slant, ink and thickness of images, a dict of arrays of shape (N,)."""
    images = np.clip(rows, 0, 1).reshape(-1, *image_shape).astype(float)
    ink = images.sum((1, 2))
    y, x = np.mgrid[: image_shape[0], : image_shape[1]]
    share = images / np.maximum(ink, 1e-9)[:, None, None]
    dx = x - (share * x).sum((1, 2))[:, None, None]
    dy = y - (share * y).sum((1, 2))[:, None, None]
    slant = (share * dx * dy).sum((1, 2)) / np.maximum((share * dy * dy).sum((1, 2)), 1e-9)
    down, across = np.diff(images, axis=1)[:, :, :-1], np.diff(images, axis=2)[:, :-1]
    variation = np.hypot(down, across).sum((1, 2))
    return {"slant": slant, "ink": ink, "thickness": 2 * ink / np.maximum(variation, 1e-9)}


def correlations(gan, image_shape):
    """Correlation of every shape with every continuous code, overall and within clusters."""
    stream = np.random.default_rng(0)
    cluster = stream.choice(gan.n_clusters, DRAWS, p=gan.weights_ / gan.weights_.sum())
    names = [name for name in gan.code_names_ if name.startswith("continuous")]
    codes = {name: stream.uniform(-1, 1, DRAWS) for name in names}
    rows = gan.sample(DRAWS, codes={"cluster": cluster, **codes})
    found = {}
    for shape, values in shapes(rows, image_shape).items():
        means = np.array([values[cluster == k].mean() for k in range(gan.n_clusters)])
        for kind, value in ((shape, values), (f"{shape}, in clusters", values - means[cluster])):
            found[kind] = {n: round(float(np.corrcoef(value, codes[n])[0, 1]), 3) for n in names}
    return found


def measured(gan, data, options):
    """Print the report of a fitted InfoGAN, and return what it says as a record."""
    report = gan.code_report()
    print(report.to_string(index=False, float_format="{:.3f}".format), flush=True)
    row = "from scratch" if options.from_scratch else "default"
    return {
        "row": row if gan.mi_weight == 1 else f"{row}, mi_weight={gan.mi_weight:g}",
        "seed": gan.random_state,
        **judged(data.y, gan.labels_),
        "information": round(float(report["information"][0]), 3),
        "at most": round(float(-(gan.weights_ * np.log(gan.weights_)).sum()), 3),
        **correlations(gan, data.image_shape),
        "epochs": gan.n_iter_,
    }


def draw(gans, image_shape, path):
    """Draw the traversals of the first of some fits, the grid of the second beside them."""
    first, *others = gans
    display = TraversalDisplay.from_estimator(
        first, beside=others[0] if others else None, image_shape=image_shape, vmin=0, vmax=1
    )
    display.figure_.savefig(path, dpi=120)


def parser():
    """Return the parser of what can be asked for."""
    asked = common_parser(__doc__, seeds="0-2")
    add_precision(asked)
    asked.add_argument("--mi-weights", nargs="+", type=float, default=[1.0, 0.0])
    asked.add_argument("--from-scratch", action="store_true", help="init=None, as published")
    add_shared_starts(asked)
    asked.add_argument("--picture", type=Path, help="file for the traversals of the first seed")
    return asked


def main():
    """Fit, print and draw."""
    options = parser().parse_args()
    data = load(options.data)
    share_pretraining(options.pretrained)
    settings = {"precision": options.precision}
    settings |= PUBLISHED["InfoGANClustering"] if options.from_scratch else {}
    picture = options.picture
    for seed in parse_seeds(options.seeds):
        settings["random_state"] = seed
        if options.starts:
            settings["init"] = kept_start(options.pretrained, data, seed, options.starts)
        gans = []
        for mi_weight in options.mi_weights:
            gans.append(InfoGAN(data.n_clusters, mi_weight=mi_weight, **settings).fit(data.X))
            record = measured(gans[-1], data, options)
            keep(record, precision_of(gans[-1], data.X), options.results)
        if picture:
            draw(gans, data.image_shape, picture)
            picture = None


if __name__ == "__main__":
    main()

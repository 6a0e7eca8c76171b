"""Variants of one method: its default, its start alone, as published, and without single terms.

``python benchmarks/accuracy/ablation.py METHOD --data mnist --seeds 0-4`` prints a row per seed
and variant. METHOD is one of vade, dac, infogan and catgan; ``--rows`` chooses among its variants
(`METHODS` holds them, with their settings):

- "default": the estimator with its defaults, and "the start alone", the partition that this same
  fit began with;
- "long" (vade, dac): three times as many epochs, to see whether clusters drift from their start;
- "published": as published as far as parameters say it, and "mixture on the codes", its start
  where it has one. The number of epochs stays the package's default, a fraction of the papers',
  unless ``--max-epochs`` says otherwise; "epochs" in the record says how many there were.
  ``--convolutional`` adds a row with InfoGAN's convolutional networks, which take far longer;
- "control" (vade): a classifier D-500-500-2000-K, trained on the start of "default" as long and
  with the same smoothness, but with neither decoder nor prior: what it lacks to "default" is
  VaDE's;
- "kmeans" (vade): scikit-learn's k-means, ten restarts;
- "no_adversary", "no_mixture", "no_reconstruction" (dac): the weight of that loss at 0;
- "no_generator" (catgan): ``fake_weight=0``;
- "over" (catgan): twice as many clusters, by default and as published, to be judged by "majority",
  the share of rows in clusters named after their most frequent class.

All rows of a seed share one pretraining: the seconds of the first one hold it, those of the others
do not. Beside accuracy stand "information" (infogan), the lower bound on the mutual information of
the cluster and generated rows, in nats, at most log K; and "spread" and "least" (dac), the mean
and the smallest standard deviation of a code's dimensions.
``--settings class_prior=estimated`` changes parameters of all rows. ``--unbalanced 20000`` draws
that many rows with shares of the classes from 2 % to 25 %. ``--test 10000`` keeps the last rows
from the fits and judges their predictions; "start_acc" and "train_acc" then are those of the rows
that were fitted. ``--pretrained FOLDER`` stores auto-encoders there; ``--starts METHOD`` takes the
starts of that method's fits that ``single_and_ensemble.py --keep FOLDER`` stored there;
``--keep FOLDER`` stores the default's fit for that script. No label is used but to count.
"""

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.control import control
from lib.datasets import draw_unbalanced, load, part
from lib.fits import fitted, kept_of, kept_start, path_of_fit, prolonged, timed
from lib.internals import conv_discriminator, conv_generator, precision_of
from lib.methods import PUBLISHED
from lib.options import add_precision, add_shared_starts, parse_seeds, setting
from lib.options import parser as common_parser
from lib.pretraining import DAC, CatGAN, InfoGAN, VaDE, share_pretraining
from lib.records import NOT_TIMED, over_seeds

from skdeepcluster.metrics import clustering_accuracy, majority_accuracy


@dataclass(frozen=True)
class Variant:
    """A row of the results: parameters of its fit, and what else stands beside it."""

    row: str
    settings: dict = field(default_factory=dict)
    #: Row of the partition that the fit began with.
    start: str | None = None
    #: Row of a classifier trained on that partition.
    control: str | None = None
    clusters_per_class: int = 1
    is_long: bool = False

    @property
    def is_published(self):
        """Whether the start is the paper's, not the package's."""
        return "init" in self.settings


@dataclass(frozen=True)
class Method:
    """An estimator, its variants by the names of ``--rows``, and what is measured of its fits."""

    estimator: type
    variants: dict
    #: Functions of (estimator, data, labels) that return entries of the record.
    measures: tuple = ()


def majority(estimator, data, labels):
    """Share of rows in clusters named after their most frequent class."""
    return {"majority": majority_accuracy(data.y, labels)}


def information(gan, data, labels):
    """Lower bound on the information between cluster and generated rows, in nats."""
    return {"information": float(gan.code_report()["information"][0])}


def spread_of_codes(dac, data, labels):
    """Mean and smallest standard deviation of a code's dimensions."""
    spread = dac.transform(data.X).std(axis=0)
    return {"spread": float(spread.mean()), "least": float(spread.min())}


START, CODES = "the start alone", "mixture on the codes"
KMEANS = "kmeans"
METHODS = {
    "vade": Method(
        VaDE,
        {
            "default": [Variant("default", start=START)],
            "control": [Variant("default", start=START, control="control")],
            "long": [Variant("long", is_long=True)],
            KMEANS: [],
            "published": [Variant("as published", PUBLISHED["VaDEClustering"], CODES)],
        },
    ),
    "dac": Method(
        DAC,
        {
            "default": [Variant("default", start=START)],
            "long": [Variant("long", is_long=True)],
            "no_adversary": [Variant("no adversary", {"adversarial_weight": 0.0})],
            "no_mixture": [Variant("no mixture", {"mixture_weight": 0.0})],
            "no_reconstruction": [Variant("no reconstruction", {"reconstruction_weight": 0.0})],
            "published": [Variant("as published", PUBLISHED["DACClustering"], CODES)],
        },
        (spread_of_codes,),
    ),
    "infogan": Method(
        InfoGAN,
        {
            "default": [Variant("default", start=START)],
            "published": [Variant("as published", PUBLISHED["InfoGANClustering"])],
        },
        (information,),
    ),
    "catgan": Method(
        CatGAN,
        {
            "default": [Variant("default", start=f"{START}, default")],
            "no_generator": [
                Variant("default without G", {"fake_weight": 0.0}, f"{START}, default without G")
            ],
            "published": [Variant("as published", PUBLISHED["CatGANClustering"])],
            "over": [
                Variant("K = 20", start=f"{START}, K = 20", clusters_per_class=2),
                Variant(
                    "K = 20 as published", PUBLISHED["CatGANClustering"], clusters_per_class=2
                ),
            ],
        },
        (majority,),
    ),
}


def variants(options, image_shape):
    """Yield the variants that are asked for, in order."""
    for key in options.rows:
        if key == "default" and "control" in options.rows:
            continue  # the control's fit is the default's
        yield from METHODS[options.method].variants[key]
        if key == "published" and options.convolutional:
            shape = {"image_shape": (1, *image_shape)}
            networks = {
                "generator": partial(conv_generator, **shape),
                "discriminator": partial(conv_discriminator, **shape),
                "hidden_layer_sizes": (1024, 1024),
            }
            settings = PUBLISHED["InfoGANClustering"] | networks
            yield Variant("as published, convolutional", settings)


def made(variant, data, seed, options):
    """Return the estimator of a variant, not fitted."""
    estimator = METHODS[options.method].estimator(
        variant.clusters_per_class * data.n_clusters,
        accept_sparse=sparse.issparse(data.X),
        random_state=seed,
        **{"precision": options.precision} | dict(options.settings) | variant.settings,
    )
    if variant.is_long:
        prolonged(estimator, data.X.shape[0])
    if variant.is_published and options.max_epochs:
        estimator.set_params(max_epochs=options.max_epochs)
    if options.starts and not variant.is_published and variant.clusters_per_class == 1:
        start = kept_start(options.pretrained, data, seed, options.starts)
        estimator.set_params(init=start)
    return estimator


def fit_rows(variant, data, seed, options, known):
    """Yield (row, labels, further entries) of a variant: its start, its fit and its control.

    Fitted to `known`; where this is not the data themselves, their labels are predictions.
    """
    estimator = made(variant, known, seed, options)
    labels, seconds, warned = fitted(estimator, known.X)
    precision = {"precision": precision_of(estimator, data.X)}
    further = {
        "score": estimator.score(data.X),
        "seconds": seconds,
        "epochs": estimator.n_iter_,
        "warnings": warned,
    }
    start, measures = estimator.start_labels_, METHODS[options.method].measures
    if known is not data:
        further["train_acc"] = clustering_accuracy(known.y, labels)
        if start is not None:
            further["start_acc"] = clustering_accuracy(known.y, start)
        labels = estimator.predict(data.X)
    elif variant.start:
        beside = majority(estimator, data, start) if majority in measures else {}
        yield variant.start, start, NOT_TIMED | beside | precision
    if options.keep and variant.row == "default":
        name = type(estimator).__mro__[2].__name__
        path = path_of_fit(options.keep, data, name, seed)
        np.savez_compressed(path, **kept_of(estimator, data.X, labels, seconds, warned))
    for measure in measures:
        further |= measure(estimator, data, labels)
    yield variant.row, labels, further | precision
    if variant.control:
        labels, seconds = timed(partial(control, estimator, seed=seed), data.X)
        yield variant.control, labels, {"score": None, "seconds": seconds} | precision


def rows(data, seed, options, known=None):
    """Yield (row, labels, further entries of the record) of all variants asked for."""
    for variant in variants(options, data.image_shape):
        yield from fit_rows(variant, data, seed, options, known or data)
    if KMEANS in options.rows:
        kmeans = KMeans(data.n_clusters, n_init=10, random_state=seed)
        labels, seconds = timed(kmeans.fit_predict, data.X)
        found = {"score": None, "seconds": seconds, "precision": str(data.X.dtype)}
        yield "KMeans", labels, found


def parser():
    """Return the parser of what can be asked for."""
    asked = common_parser(__doc__)
    asked.add_argument("method", choices=METHODS)
    asked.add_argument("--rows", nargs="+", help="variants of the method; all by default")
    asked.add_argument("--settings", nargs="*", type=setting, default=[], metavar="NAME=VALUE")
    add_precision(asked)
    asked.add_argument("--max-epochs", type=int, help="of the published rows")
    asked.add_argument("--convolutional", action="store_true", help="InfoGAN's networks, too")
    asked.add_argument("--unbalanced", type=int, help="draw so many rows, classes of 2 to 25 %%")
    asked.add_argument("--test", type=int, help="rows at the end that take no part in fits")
    add_shared_starts(asked)
    asked.add_argument("--keep", type=Path, help="folder that stores the default's fit")
    return asked


def checked(asked, arguments=None):
    """Return the options; end with a message where they do not fit together."""
    options = asked.parse_args(arguments)
    known = METHODS[options.method].variants
    options.rows = options.rows or list(known)
    for row in options.rows:
        if row not in known:
            asked.error(f"--rows {row}: {options.method} has {', '.join(known)}.")
    if options.convolutional and options.method != "infogan":
        asked.error("--convolutional: only infogan has such networks.")
    if options.test and {"control", KMEANS} & set(options.rows):
        asked.error("--test: control and kmeans have no predictions; choose other --rows.")
    if options.starts and not options.pretrained:
        asked.error("--starts needs the folder of --pretrained.")
    if options.keep and (options.test or options.unbalanced):
        asked.error("--keep stores fits to all rows, without --test and --unbalanced.")
    return options


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    options = checked(parser())
    data, size, known = load(options.data), options.unbalanced, None
    share_pretraining(options.pretrained)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    if options.test:
        known = part(data, slice(-options.test))
        data = part(data, slice(-options.test, None))
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: draw_unbalanced(data, size, seed) if size else data,
        partial(rows, options=options, known=known),
        options.results,
    )


if __name__ == "__main__":
    main()

"""The papers' experiments on MNIST at their own length, or at a share of it, with their curves.

    python benchmarks/accuracy/papers.py InfoGAN --precision bfloat16 --results papers.jsonl
    python benchmarks/accuracy/papers.py VaDE CatGAN --share 0.02 --checkpoints FOLDER

`PAPERS` says for each experiment what the text gives, what it leaves open and was chosen here, and
the published figure. Prints a JSON line whenever another fortieth of the training is over, and one
at the end: the seconds so far, and the figure, judged by labels that do nothing else. ``--share``
shortens the training; such rows are called so. ``--checkpoints FOLDER`` lets a command that was
cut short go on; ``--keep FOLDER`` saves the fits; ``--picture FILE`` draws the curves of all that
``--results`` holds; ``--drawn FOLDER`` draws what the generators of the fits of ``--keep`` draw.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import ConstantLR, StepLR

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import map_rows, precision_of, predict_clusters
from lib.labels import TRAINING, labelled
from lib.options import add_precision, bare_parser, parse_seeds
from lib.records import judged, keep, read

import skdeepcluster
from skdeepcluster.display import SamplesDisplay, TraversalDisplay
from skdeepcluster.metrics import majority_accuracy
from skdeepcluster.persistence import load as load_estimator
from skdeepcluster.persistence import save
from skdeepcluster.presets import PAPERS as PRESETS

N_POINTS = 40  # of a curve
CONSTANT_RATE = partial(LRScheduler, ConstantLR, factor=1.0)
#: Rows that a generator draws, of which the surest are shown.
N_DRAWN = 5_000
IMAGE = (28, 28)
WITH_AND_WITHOUT = "InfoGAN", "InfoGAN without information"
LABELS = {"acc": "accuracy (ACC)", "error": "error", "bound": "bound on log p(x), nats"}


def accuracy(model, data):
    """Judge clusters of all rows by the Hungarian method."""
    return judged(data.y, predict_clusters(model, data.X))


def majority_error(model, data):
    """Error on all rows of clusters named after their most frequent class."""
    labels = predict_clusters(model, data.X)
    return {"error": 1 - majority_accuracy(data.y, labels)} | judged(data.y, labels)


def test_error(model, data):
    """Error on the test images."""
    labels = predict_clusters(model, data.X[TRAINING:])
    return {"error": float(np.mean(labels != data.y[TRAINING:]))}


def test_bound(model, data):
    """Mean lower bound on log p(x) of the test images, in nats."""
    bounds = map_rows(model.criterion, data.X[TRAINING:], next(model.parameters()).device)
    return {"bound": float(bounds.mean())}


class Paper(NamedTuple):
    """An experiment: what to fit, for how long, how it is judged, and what was published."""

    source: str
    estimator: str
    epochs: int
    #: Entry of the records, and its published value.
    entry: str
    value: float
    published: str
    #: What the text leaves open, or cannot be had here.
    chosen: str
    judge: Callable = accuracy
    settings: dict = {}
    #: Makes the callback that sets the learning rate; None: one cycle.
    schedule: Callable | None = None
    n_clusters: int = 10
    #: Labels of each class that a classifier gets.
    labels_per_class: int = 0


PAPERS = {
    "VaDE": Paper(
        "Jiang et al. 2017, section 4",
        "VaDEClustering",
        300,
        "acc",
        0.9446,
        "ACC .9446",
        "The weights of the layer-wise pretraining were never published: 20 epochs of a denoising "
        "auto-encoder instead. The authors' code trains ten times as long, 3,000 epochs.",
        settings={"pretraining_epochs": 20},
        schedule=partial(LRScheduler, StepLR, step_size=10, gamma=0.9),
    ),
    "DAC": Paper(
        "Harchaoui et al. 2017",
        "DACClustering",
        100,
        "acc",
        0.9408,
        "ACC .9408, the median, as others cite it",
        "The abstract gives neither optimiser nor length: AdamW, one cycle, 20 and 100 epochs.",
        settings={"pretraining_epochs": 20},
    ),
    "InfoGAN": Paper(
        "Chen et al. 2016, appendix C.1",
        "InfoGANClustering",
        10,
        "acc",
        0.95,
        "ACC .95, protocol not given",
        "5,000 steps of 128 rows are 9.1 epochs: 10.",
        schedule=CONSTANT_RATE,
    ),
    "InfoGAN without information": Paper(
        "Chen et al. 2016, figures 1 and 2b",
        "InfoGANClustering",
        10,
        "acc",
        np.nan,
        "codes mean nothing, no number",
        "As InfoGAN, but its generator is not asked to be read.",
        settings={"mi_weight": 0.0},
        schedule=CONSTANT_RATE,
    ),
    "CatGAN": Paper(
        "Springenberg 2016, section 4, networks of linear layers",
        "CatGANClustering",
        100,
        "error",
        0.097,
        "majority error .0970 with 20 clusters",
        "The length is not given: 100 epochs.",
        majority_error,
        schedule=CONSTANT_RATE,
        n_clusters=20,
    ),
    "CatGAN, 100 labels": Paper(
        "Springenberg 2016, section 4, networks of linear layers",
        "CatGANClassifier",
        100,
        "error",
        0.0191,
        "test error .0191, mean of ten draws",
        "The length is not given: 100 epochs.",
        test_error,
        schedule=CONSTANT_RATE,
        labels_per_class=10,
    ),
    "VAE": Paper(
        "Kingma and Welling 2014, section 5, 500 hidden units and 20 codes",
        "VAEEmbedding",
        1667,
        "bound",
        -100.0,
        "a curve: about -100 nats after 1e8 training images",
        "AdamW with one cycle for Adagrad at a rate that is chosen by its first steps.",
        test_bound,
    ),
}


class Curve(Callback):
    """Records how the model is judged whenever another fortieth of the epochs is over."""

    def __init__(self, record, n_epochs):
        self.record, self.every = record, max(1, n_epochs // N_POINTS)

    def on_epoch_end(self, net, **kwargs):
        """Judge the model after some of the epochs."""
        n_epochs = len(net.history)
        is_pretraining = type(net.module_).__name__ == "Autoencoder"
        if n_epochs % self.every == 0 and not is_pretraining:
            self.record(net.module_.eval(), n_epochs)


def row_of(name, share):
    """Return the name of a row, which says whether the training is shorter than the paper's."""
    return name if share == 1 else f"{name}, shortened, {share:g} of the steps"


def estimator_of(paper, seed, n_epochs, options):
    """Return the estimator of an experiment, not fitted."""
    settings = PRESETS[paper.estimator.replace("Classifier", "Clustering")] | paper.settings
    if paper.estimator != "CatGANClassifier":
        settings["n_clusters"] = paper.n_clusters
    settings |= {"max_epochs": n_epochs, "precision": options.precision, "random_state": seed}
    return getattr(skdeepcluster, paper.estimator)(**settings)


def run(name, seed, options, data):
    """Fit an experiment; keep records of its curve and of its end."""
    paper, began = PAPERS[name], time.perf_counter()
    n_epochs = max(1, round(options.share * paper.epochs))
    estimator = estimator_of(paper, seed, n_epochs, options)
    known = data.X if paper.judge in (accuracy, majority_error) else data.X[:TRAINING]
    y = labelled(data.y[:TRAINING], paper.labels_per_class, seed)

    def record(model, epoch):
        found = {"row": row_of(name, options.share), "data": data.name, "seed": seed}
        found |= {"n_samples": len(known), "epoch": epoch, "epochs": n_epochs}
        found |= {"published": paper.published, "chosen": paper.chosen}
        found |= paper.judge(model, data)
        found["seconds"] = round(time.perf_counter() - began, 1)
        keep(found, precision_of(estimator, known), options.results)

    schedule = [paper.schedule()] if paper.schedule else []
    estimator.set_params(callbacks=[*schedule, Curve(record, n_epochs)])
    if options.checkpoints:
        options.checkpoints.mkdir(parents=True, exist_ok=True)
        estimator.set_params(checkpoint=options.checkpoints / f"{name}_{seed}")
    estimator.fit(known, y if paper.labels_per_class else None)
    record(estimator.model_, estimator.n_iter_)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        save(estimator.set_params(callbacks=None), options.keep / f"{name}_{seed}.skops")


def draw(records):
    """Draw the curves of all experiments that have records, beside what was published."""
    found = {}
    for record in records:
        found.setdefault(record["row"], {}).setdefault(record["seed"], []).append(record)
    n_columns = min(len(found), 4)
    n_rows = -(-len(found) // n_columns)
    size = 3.2 * n_columns, 2.8 * n_rows
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(found) :]:
        ax.set_axis_off()
    for ax, (row, seeds) in zip(axes.flat, found.items(), strict=False):
        paper = PAPERS[row.partition(", shortened")[0]]
        for seed, curve in seeds.items():
            values = [record[paper.entry] for record in curve]
            ax.plot([record["epoch"] for record in curve], values, label=f"seed {seed}")
        if np.isfinite(paper.value):
            ax.axhline(paper.value, color="0.4", ls="--", label="published")
        done, whole = curve[-1]["epoch"], curve[-1]["epochs"]
        title = row if done == whole else f"{row}: {done:,} of {whole:,} epochs"
        ax.set(title=title, xlabel="epoch", ylabel=LABELS[paper.entry])
        ax.title.set_fontsize("small")
        ax.legend(fontsize="x-small")
    return figure


def draw_generators(fits, pictures, seeds):
    """Draw what the generators of kept fits draw, a picture for each."""
    for name, make in {"infogan": draw_codes, "catgan": draw_samples}.items():
        for seed in seeds:
            figure, path = make(fits, seed), pictures / f"{name}_{seed}.png"
            if figure is not None:
                figure.savefig(path, dpi=80)
                # Sixteen shades of grey take a fifth of the bytes.
                Image.open(path).convert("L").quantize(16).save(path, optimize=True)


def draw_codes(folder, seed):
    """Draw what the codes of InfoGAN change, and its clusters without the information term."""
    gan, beside = (load_fit(folder, name, seed) for name in WITH_AND_WITHOUT)
    if gan is None:
        return None
    name = f"InfoGAN, seed {seed}; the other model has no information term"
    options = {"beside": beside, "image_shape": IMAGE, "name": name if beside else "InfoGAN"}
    return TraversalDisplay.from_estimator(gan, **options).figure_


def draw_samples(folder, seed):
    """Draw the rows of CatGAN's generator that are surest of each cluster, ten of each."""
    catgan = load_fit(folder, "CatGAN", seed)
    if catgan is None:
        return None
    drawn = catgan.sample(N_DRAWN)
    resp = catgan.predict_proba(drawn)
    labels, surest = resp.argmax(1), np.argsort(-resp.max(1))
    chosen = np.concatenate([surest[labels[surest] == k][:10] for k in range(resp.shape[1])])
    name = f"CatGAN, seed {seed}: drawn rows that are surest of each cluster"
    return SamplesDisplay(drawn[chosen], labels[chosen], image_shape=IMAGE).plot(name=name).figure_


def load_fit(folder, name, seed):
    """Load a fit that was kept; None if there is none."""
    path = folder / f"{name}_{seed}.skops"
    return load_estimator(path) if path.exists() else None


def parser():
    """Return the parser of what can be asked for."""
    asked = bare_parser(__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PAPERS)}")
    asked.add_argument("--seeds", default="0-0", help='"0-4", "0,2,7", or a count (%(default)s)')
    asked.add_argument("--share", type=float, default=1.0, help="of the epochs (%(default)s)")
    asked.add_argument("--checkpoints", type=Path, metavar="FOLDER", help="to go on from")
    asked.add_argument("--keep", type=Path, metavar="FOLDER", help="to save the fits in")
    asked.add_argument("--picture", type=Path, help="file for the curves of --results")
    asked.add_argument("--drawn", type=Path, metavar="FOLDER", help="for pictures of --keep")
    add_precision(asked)
    return asked


def main(arguments=None):
    """Run the experiments one after another."""
    asked = parser()
    options = asked.parse_args(arguments)
    unknown = [name for name in options.names if name not in PAPERS]
    if unknown:
        asked.error(f"{', '.join(unknown)} not among {', '.join(PAPERS)}.")
    if options.picture and not options.results:
        asked.error("--picture draws what --results holds: name that file.")
    if options.drawn and not options.keep:
        asked.error("--drawn draws by the fits of --keep: name that folder.")
    data = load("mnist") if options.names else None
    for name in options.names:
        for seed in parse_seeds(options.seeds):
            run(name, seed, options, data)
    if options.picture:
        draw(read(options.results)).savefig(options.picture, dpi=100)
    if options.drawn:
        draw_generators(options.keep, options.drawn, parse_seeds(options.seeds))


if __name__ == "__main__":
    main()

"""The papers' experiments on MNIST at their own length, or at a share of it, with their curves.

    python benchmarks/accuracy/papers.py VaDE CatGAN --share 0.02 --out papers.jsonl

`PAPERS` says for each experiment what the text leaves open and what was published. A JSON line is
appended whenever another fortieth of the training is over, and at the end.
"""

import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.cluster import KMeans
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import ConstantLR, StepLR

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import draw_labels, load
from lib.options import chosen, parse, parser
from lib.presets import PAPERS as PRESETS
from lib.records import judged, keep, read
from lib.tables import as_frame

import skdeepcluster
from skdeepcluster.deep.codes import Autoencoder, PointEncoder
from skdeepcluster.metrics import clustering_accuracy, purity_score
from skdeepcluster.nn.likelihood import Bernoulli
from skdeepcluster.nn.networks import mlp
from skdeepcluster.training.loop import Rows, train

N_POINTS = 40  # of a curve
PER_CLASS = 10  # labels that a classifier gets
N_TRAIN = 60_000  # images of MNIST before its test images
LABELS = {"acc": "accuracy (ACC)", "error": "error", "bound": "bound on log p(x), nats"}


def evaluated(model, function, X):
    """Return a function of the model for all samples, in batches."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [function(batch.to(device)) for batch in torch.as_tensor(X).split(1000)]
    return torch.cat(parts).cpu().numpy()


def predicted(model, X):
    """Return the most probable cluster of each sample."""
    return evaluated(model, lambda batch: model.log_resp(batch).argmax(-1), X)


def accuracy(model, data):
    """Judge the clusters of all samples."""
    return judged(data.y, predicted(model, data.X))


def majority_error(model, data):
    """Return the error if each cluster is named after its most frequent class."""
    labels = predicted(model, data.X)
    return {"error": 1 - purity_score(data.y, labels)} | judged(data.y, labels)


def test_error(model, data):
    """Return the error on the test images."""
    labels = predicted(model, data.X[N_TRAIN:])
    return {"error": float(np.mean(labels != data.y[N_TRAIN:]))}


def test_bound(model, data):
    """Return the mean lower bound on log p(x) of the test images, in nats."""
    return {"bound": float(evaluated(model, model.score, data.X[N_TRAIN:]).mean())}


#: What a judge's main entry of a record is called.
ENTRIES = {accuracy: "acc", majority_error: "error", test_error: "error", test_bound: "bound"}


class Paper(NamedTuple):
    """An experiment: what to fit, for how long, how it is judged, and what was published."""

    estimator: str
    epochs: int
    judge: Callable
    published: float
    #: Makes the callback that sets the learning rate; None: one cycle.
    schedule: Callable | None = None
    settings: dict = {}
    #: Epochs of a plain autoencoder whose networks the estimator gets.
    autoencoder: int = 0


CONSTANT = partial(LRScheduler, ConstantLR, factor=1.0)
DECAY = partial(LRScheduler, StepLR, step_size=10, gamma=0.9)
#: The virtual adversarial term of IMSAT (Hu et al. 2017), beside the categorical GAN with the
#: default networks.
SMOOTH = {
    "smoothness_weight": 10.0,
    "fake_weight": 0.3,
    "generator": None,
    "discriminator": None,
    "learning_rate": 2e-3,
    "batch_size": 250,
}


def unsupervised_catgan(n_epochs, schedule, **settings):
    """Return an experiment with a categorical GAN of 20 clusters."""
    settings |= {"n_clusters": 20}
    return Paper("CatGANClustering", n_epochs, majority_error, 0.097, schedule, settings)


PAPERS = {
    # Jiang et al. 2017, section 4
    "VaDE": Paper("VaDEClustering", 300, accuracy, 0.9446, DECAY, {}, 30),
    # Harchaoui et al. 2017
    "DAC": Paper("DACClustering", 100, accuracy, 0.9408, None, {"pretraining_epochs": 20}),
    # Chen et al. 2016, appendix C.1, then figures 1 and 2b
    "InfoGAN": Paper("InfoGANClustering", 10, accuracy, 0.95, CONSTANT),
    # A weight this small trains Q alone.
    "InfoGAN without information": Paper(
        "InfoGANClustering", 10, accuracy, np.nan, CONSTANT, {"mi_weight": 1e-4}
    ),
    # Springenberg 2016, section 4, networks of linear layers
    "CatGAN": unsupervised_catgan(100, CONSTANT),
    "CatGAN, smooth": unsupervised_catgan(40, None, **SMOOTH),
    "CatGAN, smooth, balance 4": unsupervised_catgan(40, None, **SMOOTH, balance_weight=4.0),
    "CatGAN, smooth, no generator": unsupervised_catgan(40, None, **SMOOTH | {"fake_weight": 0.0}),
    "CatGAN, smooth, published networks": unsupervised_catgan(
        40, CONSTANT, smoothness_weight=10.0
    ),
    "CatGAN, 100 labels": Paper("CatGANClassifier", 100, test_error, 0.0191, CONSTANT),
    "CatGAN, 100 labels, smooth": Paper("CatGANClassifier", 40, test_error, 0.0191, None, SMOOTH),
    # Kingma and Welling 2014, section 5, 500 hidden units and 20 codes
    "VAE": Paper("VAEEmbedding", 1667, test_bound, -100.0),
}
#: What was published, and what the text leaves open or cannot be had here.
TEXTS = {
    "VaDE": (
        "ACC .9446",
        "The authors published the weights of their pretraining, not its code: 30 epochs of an "
        "autoencoder with squared errors instead. Their code trains ten times as long.",
    ),
    "DAC": (
        "ACC .9408, the median, as others cite it",
        "The abstract gives neither optimizer nor length: AdamW, one cycle, 20 and 100 epochs.",
    ),
    "InfoGAN": ("ACC .95, protocol not given", "5,000 steps of 128 rows are 9.1 epochs: 10."),
    "InfoGAN without information": (
        "codes mean nothing, no number",
        "As InfoGAN, but its generator is not asked to be read.",
    ),
    "CatGAN": ("majority error .0970 with 20 clusters", "The length is not given: 100 epochs."),
    "CatGAN, smooth": (
        "majority error .0970 with 20 clusters",
        "The virtual adversarial term of IMSAT added, weight 10, and the default networks.",
    ),
    "CatGAN, smooth, no generator": (
        "majority error .0970 with 20 clusters",
        "As CatGAN, smooth, without the term of generated samples: the objective of IMSAT.",
    ),
    "CatGAN, smooth, balance 4": (
        "majority error .0970 with 20 clusters",
        "As CatGAN, smooth, with the weight of the balance term in IMSAT.",
    ),
    "CatGAN, smooth, published networks": (
        "majority error .0970 with 20 clusters",
        "As CatGAN, and the virtual adversarial term with weight 10.",
    ),
    "CatGAN, 100 labels, smooth": (
        "test error .0191, mean of ten draws",
        "The virtual adversarial term of IMSAT added, weight 10, and the default networks.",
    ),
    "CatGAN, 100 labels": (
        "test error .0191, mean of ten draws",
        "The length is not given: 100 epochs.",
    ),
    "VAE": (
        "a curve: about -100 nats after 1e8 training images",
        "AdamW with one cycle for Adagrad at a rate that is chosen by its first steps.",
    ),
}


class Curve(Callback):
    """Records how the model is judged whenever another fortieth of the epochs is over."""

    def __init__(self, record, n_epochs):
        self.record, self.every = record, max(1, n_epochs // N_POINTS)

    def on_train_begin(self, net, **kwargs):
        """Judge the model before the first epoch."""
        self.on_epoch_end(net)

    def on_epoch_end(self, net, **kwargs):
        """Judge the model after some of the epochs."""
        n_epochs = len(net.history)
        is_pretraining = isinstance(net.module_, Autoencoder)
        if n_epochs % self.every == 0 and not is_pretraining:
            self.record(net.module_.eval(), n_epochs)
            net.module_.train()


class SquaredError(Bernoulli):
    """Squared errors of probabilities, the loss of DEC's autoencoder (Xie et al. 2016)."""

    def log_probs(self, x, decoded):
        """Minus the squared errors, (N, D)."""
        return -(self.mean(decoded) - x).square()


def pretrain(X, n_epochs, seed):
    """Return encoder and decoder, perceptrons, of an autoencoder without noise, trained on X."""
    torch.manual_seed(seed)
    encoder, decoder = mlp(784, 10), mlp(10, 784, (2000, 500, 500))
    train(
        Autoencoder(PointEncoder(encoder), decoder, SquaredError()),
        Rows(X),
        max_epochs=n_epochs,
        batch_size=256,
        learning_rate=1e-3,
        generator=torch.Generator().manual_seed(seed),
    )
    return encoder, decoder


def accuracy_of_codes(encoder, data, seed):
    """Return the accuracy of k-means on the codes of an encoder."""
    codes = evaluated(encoder, encoder, data.X)
    labels = KMeans(data.n_clusters, n_init=10, random_state=seed).fit_predict(codes)
    return clustering_accuracy(data.y, labels)


def widened(encoder, n_in, n_out):
    """Return the encoder with further outputs, for the log-variances, that begin at zero."""
    network = mlp(n_in, n_out)
    state = encoder.state_dict()
    for name in list(state)[-2:]:
        missing = torch.zeros(n_out - len(state[name]), *state[name].shape[1:])
        state[name] = torch.cat([state[name], missing])
    network.load_state_dict(state)
    return network


def estimator_of(paper, seed, n_epochs):
    """Return the estimator of an experiment, not fitted."""
    settings = {"max_epochs": n_epochs, "random_state": seed}
    settings |= PRESETS[paper.estimator.replace("Classifier", "Clustering")] | settings
    if paper.estimator == "CatGANClassifier":
        del settings["pretraining_epochs"]
    else:
        settings["n_clusters"] = 10
    settings |= paper.settings
    return getattr(skdeepcluster, paper.estimator)(**settings)


def run(name, seed, options, data):
    """Fit an experiment; keep records of its curve and of its end."""
    paper, began = PAPERS[name], time.perf_counter()
    n_epochs = max(1, round(options.share * paper.epochs))
    estimator = estimator_of(paper, seed, n_epochs)
    known = data.X if paper.judge in (accuracy, majority_error) else data.X[:N_TRAIN]
    y = draw_labels(data.y[:N_TRAIN], PER_CLASS, seed) if paper.judge is test_error else None
    row = name if options.share == 1 else f"{name}, shortened, {options.share:g} of the steps"

    def record(model, epoch):
        found = {"row": row, "data": data.name, "seed": seed}
        found |= {"n_samples": len(known), "epoch": epoch, "epochs": n_epochs}
        found |= dict(zip(("published", "chosen"), TEXTS[name], strict=True))
        found |= before | paper.judge(model, data)
        found["seconds"] = round(time.perf_counter() - began, 1)
        keep(found, "float32", options.out)

    before = {}
    if paper.autoencoder:
        encoder, decoder = pretrain(known, paper.autoencoder, seed)
        before["kmeans"] = accuracy_of_codes(encoder, data, seed)
        estimator.set_params(
            encoder=partial(widened, encoder),
            decoder=lambda n_in, n_out: copy.deepcopy(decoder),
            pretraining_epochs=0,
        )
    schedule = [paper.schedule()] if paper.schedule else []
    estimator.set_params(callbacks=[*schedule, Curve(record, n_epochs)])
    estimator.fit(known, y)
    record(estimator.model_, estimator.n_iter_)


def draw(records):
    """Draw the curves of all experiments that have records, a panel for each estimator."""
    frame = as_frame(records)
    frame["name"] = frame.row.str.partition(", shortened")[0]
    frame["estimator"] = [PAPERS[name].estimator for name in frame.name]
    panels = frame.groupby("estimator", sort=False)
    shape = -(-len(panels) // 3), min(len(panels), 3)
    size = 4.2 * shape[1], 3.4 * shape[0]
    figure, axes = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat[len(panels) :]:
        ax.remove()

    for ax, (estimator, rows) in zip(axes.flat, panels, strict=False):
        paper = PAPERS[rows.name.iloc[0]]
        entry = ENTRIES[paper.judge]
        for number, (row, curves) in enumerate(rows.groupby("row", sort=False)):
            for _, curve in curves.groupby("seed"):
                ax.plot(curve.epoch, curve[entry], color=f"C{number}", label=row)
                row = None  # a line of the legend for all seeds
        ax.axhline(paper.published, color="0.4", ls="--", label="published")
        ax.set(title=estimator, xlabel="epoch", ylabel=LABELS[entry])
        ax.legend(fontsize="x-small")
    return figure


def parsed(arguments=None):
    """Read the command line."""
    made = parser(__doc__, seeds="0-0")
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PAPERS)}")
    made.add_argument("--share", type=float, default=1.0, help="of the epochs (%(default)s)")
    made.add_argument("--picture", type=Path, help="file for the curves of --out")
    options = parse(made, arguments, names=lambda names: chosen(names, PAPERS, "NAME"))
    if options.picture and not options.out:
        made.error("--picture draws the records of --out: name that file.")
    return options


def main(options):
    """Run the experiments one after another."""
    data = load("mnist") if options.names else None
    for name in options.names:
        for seed in options.seeds:
            run(name, seed, options, data)
    if options.picture:
        draw(read(options.out)).savefig(options.picture, dpi=100)


if __name__ == "__main__":
    main(parsed())

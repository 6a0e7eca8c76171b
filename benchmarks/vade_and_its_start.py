"""VaDE by default, its start alone, as published, and what a plain classifier makes of the start.

``python benchmarks/vade_and_its_start.py --data mnist --seeds 0-4`` prints, per seed, the rows

- "default": VaDEClustering with its defaults;
- "the start alone": the partition that the same fit began with;
- "control": a classifier D-500-500-2000-K, trained on that partition as long and with the same
  smoothness as VaDE, but with neither decoder nor prior: what it lacks to "default" is VaDE's;
- "long": three times as many epochs, for drift;
- "as published": init="mixture", objective="published", nothing of ours, and "mixture on the
  codes", its start;
- "KMeans": scikit-learn's, ten restarts.

``--rows`` chooses among default (with its start), control (with both), long, published and kmeans.
All rows of a seed share one pretraining: the seconds of the first one hold it, those of the
others do not.
``--unbalanced 20000`` draws that many rows with shares of the classes from 2 % to 25 %.
No label is used but to count.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from compare import parse_seeds
from datasets import load, unbalanced
from pretrained import SharedPretraining
from scipy import sparse
from seeds import NOT_TIMED, over_seeds, prolonged, timed
from sklearn.cluster import KMeans
from sklearn.utils import Bunch
from torch import nn

from skdeepcluster import VaDEClustering
from skdeepcluster.engine.batches import Rows, map_rows
from skdeepcluster.engine.net import train
from skdeepcluster.engine.randomness import generator, seeded
from skdeepcluster.modules.game import Game, Player
from skdeepcluster.modules.networks import mlp
from skdeepcluster.modules.start import Keep


class VaDE(SharedPretraining, VaDEClustering):
    """VaDEClustering whose fits with one seed share their pretraining."""


class Classifier(Game):
    """p(c|x) by a perceptron, with VaDE's terms "start" and "smoothness" and nothing else."""

    def __init__(self, network, likelihood, keep):
        super().__init__()
        self.network, self.likelihood, self.keep = network, likelihood, keep

    def log_resp(self, x):
        """Log-probabilities of the clusters."""
        return self.log_gamma(self.likelihood.standardize(x))

    def log_gamma(self, seen):
        """Log-probabilities of standardised rows."""
        return self.network(seen).log_softmax(-1)

    def loss(self, x, start):
        """Cross-entropy to the start, and smoothness."""
        seen = self.likelihood.standardize(x)
        return self.keep.terms(self.log_gamma, seen, start)

    def players(self):
        """One player."""
        return (Player("classifier", [self.network], self.loss),)


def control(vade, X, seed):
    """Labels of a classifier trained on the start of a fitted VaDE."""
    n_clusters = vade.n_clusters
    with seeded(seed):
        network = mlp(X.shape[1], n_clusters, vade.hidden_layer_sizes)
        model = Classifier(network, vade.model_.likelihood, Keep(1.0, 1.0))
        start = nn.functional.one_hot(torch.as_tensor(vade.start_labels_), n_clusters)
        train(
            model,
            Rows(X, start.float().numpy()),
            max_epochs=vade.n_iter_,
            batch_size=vade._rows_in_step(X.shape[0]),
            learning_rate=vade.learning_rate,
            generator=generator(seed),
            bfloat16=vade.precision == "bfloat16",
        )
    return map_rows(lambda x: model.log_resp(x).argmax(-1), X)


def rows(data, seed, wanted, precision):
    """Yield (row, labels, score and seconds)."""
    X, n_clusters = data.X, data.n_clusters
    common = {"accept_sparse": sparse.issparse(X), "precision": precision, "random_state": seed}
    if {"default", "control"} & wanted:
        vade, seconds = timed(VaDE(n_clusters, **common).fit, X)
        yield "the start alone", vade.start_labels_, NOT_TIMED
        yield "default", vade.labels_, {"score": vade.score(X), "seconds": seconds}
    if "control" in wanted:
        labels, seconds = timed(partial(control, vade, seed=seed), X)
        yield "control", labels, {"score": None, "seconds": seconds}
    if "long" in wanted:
        vade, seconds = timed(prolonged(VaDE(n_clusters, **common), X.shape[0]).fit, X)
        yield "long", vade.labels_, {"score": vade.score(X), "seconds": seconds}
    if "kmeans" in wanted:
        kmeans = KMeans(n_clusters, n_init=10, random_state=seed)
        labels, seconds = timed(kmeans.fit_predict, X)
        yield "KMeans", labels, {"score": None, "seconds": seconds}
    if "published" in wanted:
        vade = VaDE(n_clusters, init="mixture", objective="published", **common)
        vade, seconds = timed(vade.fit, X)
        yield "mixture on the codes", vade.start_labels_, NOT_TIMED
        yield "as published", vade.labels_, {"score": vade.score(X), "seconds": seconds}


def draw(data, n_samples, seed):
    """Return an unbalanced subsample of the data."""
    X, y = unbalanced(data.X, data.y, n_samples, random_state=seed)
    return Bunch(**data | {"X": X, "y": y, "name": f"{data.name}, unbalanced"})


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", default="0-4")
    kinds = ["default", "control", "long", "published", "kmeans"]
    parser.add_argument("--rows", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--unbalanced", type=int, help="draw so many rows, classes of 2 to 25 %%")
    parser.add_argument("--precision", default="float32", help="of the training steps")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    data = load(options.data)
    size, wanted = options.unbalanced, set(options.rows)
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: draw(data, size, seed) if size else data,
        partial(rows, wanted=wanted, precision=options.precision),
        options.results,
    )


if __name__ == "__main__":
    main()

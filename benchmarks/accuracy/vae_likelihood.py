"""Test log-likelihood of a VAE on dynamically binarized MNIST, by importance weighting.

``python benchmarks/accuracy/vae_likelihood.py`` trains 784-200-200-50 (tanh) as published by Burda
et al. (2016); ``--max-epochs 3280`` is the published length.
"""

import sys
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.options import parser
from lib.records import keep, timed

from skdeepcluster import VAEEmbedding

NETWORK = {
    "n_components": 50,
    "hidden_layer_sizes": (200, 200),
    "activation": "tanh",
    "likelihood": "bernoulli",
    "init": "own",
    "batch_size": 256,
    "learning_rate": 2e-3,
    "random_state": 0,
}


class Binarize(Callback):
    """Replaces the training images by samples of their pixels at each epoch."""

    def initialize(self):
        """Begin a training."""
        self.shares = None
        self.rng = np.random.default_rng(0)
        return self

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Sample the pixels."""
        if self.shares is None:
            self.shares = dataset_train.X
        drawn = self.rng.random(self.shares.shape, dtype=np.float32) < self.shares
        dataset_train.X = drawn.astype(np.float32)


def main(arguments=None):
    """Train and judge."""
    made = parser(__doc__)
    made.add_argument("--max-epochs", type=int, default=250)
    made.add_argument("--n-test", type=int, default=1000)
    made.add_argument("--n-importance-samples", type=int, default=5000)
    options = made.parse_args(arguments)
    X = load("mnist").X
    train, test = X[:60_000], X[60_000:]
    vae = VAEEmbedding(
        10,
        **NETWORK,
        max_epochs=options.max_epochs,
        callbacks=[Binarize()],
        verbose=1,
    )
    _, seconds = timed(vae.fit, train)
    rng = np.random.default_rng(0)
    binary = (rng.random(test.shape) < test).astype(np.float32)
    some = binary[rng.permutation(len(binary))[: options.n_test]]
    log_likelihood = vae.score_samples(some, options.n_importance_samples)
    record = {
        "row": "VAEEmbedding",
        "max_epochs": options.max_epochs,
        "batch_size": 256,
        "seconds_fit": round(seconds, 1),
        "elbo_test_all": round(vae.score(binary), 3),
        "n_test": len(some),
        "n_importance_samples": options.n_importance_samples,
        "log_likelihood": round(float(log_likelihood.mean()), 3),
        "standard_error_over_images": round(float(log_likelihood.std() / np.sqrt(len(some))), 3),
    }
    keep(record, "float32", options.out)


if __name__ == "__main__":
    main()

"""Test log-likelihood of a VAE on dynamically binarised MNIST, by importance weighting.

``python benchmarks/accuracy/vae_likelihood.py`` trains 784-200-200-50 (tanh, one stochastic layer)
on the 60,000 training images, binarised anew in every step, and reports log p(x) of test images,
binarised once with a fixed seed, by the bound with 5000 samples (Burda et al., 2016).

The default is what fits in about a quarter of an hour on two cores. ``--max-epochs 3280`` is the
length at which the same network is published with -86.76 nats; it takes hours here.
``--checkpoint FILE`` lets a command that was cut short go on.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import precision_of
from lib.options import bare_parser
from lib.records import keep

from skdeepcluster import VAEEmbedding


def main():
    """Train, report, print one JSON line."""
    parser = bare_parser(__doc__)
    parser.add_argument("--max-epochs", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--n-test", type=int, default=1000)
    parser.add_argument("--n-importance-samples", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="file to go on from")
    options = parser.parse_args()
    X = load("mnist").X
    train, test = X[:60_000], X[60_000:]
    vae = VAEEmbedding(
        10,
        n_components=50,
        hidden_layer_sizes=(200, 200),
        activation="tanh",
        likelihood="bernoulli",
        binarize=True,
        init="mixture",
        covariance_type="diag",
        mixture_n_init=1,
        max_epochs=options.max_epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        random_state=options.seed,
        checkpoint=options.checkpoint,
        verbose=options.verbose,
    )
    started = time.perf_counter()
    vae.fit(train)
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(0)
    binary = (rng.random(test.shape) < test).astype(np.float32)
    some = binary[rng.permutation(len(binary))[: options.n_test]]
    log_likelihood = vae.score_samples(some, options.n_importance_samples)
    error = log_likelihood.std() / np.sqrt(len(some))
    record = {
        "row": "VAEEmbedding",
        "max_epochs": options.max_epochs,
        "batch_size": options.batch_size,
        "seed": options.seed,
        "seconds_fit": round(seconds, 1),
        "elbo_test_all": round(vae.score(binary), 3),
        "n_test": len(some),
        "n_importance_samples": options.n_importance_samples,
        "log_likelihood": round(float(log_likelihood.mean()), 3),
        "standard_error_over_images": round(float(error), 3),
        "elbo_same_images": round(vae.score(some), 3),
        "seconds_all": round(time.perf_counter() - started, 1),
    }
    keep(record, precision_of(vae, train), options.results)


if __name__ == "__main__":
    main()

"""Networks whose speed is measured: which ones, on what rows, ready to train."""

import itertools

import numpy as np
from sklearn.utils import Bunch

from .internals import training_rows
from .methods import METHODS, NETWORKS
from .options import bare_parser

BATCH_SIZE = 256
WIDTHS = [(500, 500, 2000), (64, 64)]
FEATURES, CLUSTERS, CHUNK = 50, 10, 100_000


def network_parser(doc):
    """Return a parser for scripts that measure methods and networks; see `networks`."""
    parser = bare_parser(doc)
    parser.add_argument("--methods", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--widths", nargs="+", type=int, help="of one network, instead of two")
    return parser


def networks(options):
    """Return every method and widths that were asked for, in pairs."""
    widths = [tuple(options.widths)] if options.widths else WIDTHS
    return itertools.product(options.methods, widths)


def fitted(method, data, widths, device="cpu"):
    """Return an estimator of the method after one epoch, from an arbitrary partition."""
    estimator = METHODS[method](data.n_clusters, 0, data)
    estimator.set_params(hidden_layer_sizes=widths, max_epochs=1, device=device)
    if "pretraining_epochs" in estimator.get_params():
        some = np.arange(len(data.X)) % data.n_clusters
        estimator.set_params(init=some, pretraining_epochs=1)
    return estimator.fit(data.X)


def prepared(method, data, widths, device):
    """Return a model of the method, ready to train, and the rows it trains on."""
    estimator = fitted(method, data, widths, device)
    return estimator.model_, training_rows(estimator, data.X)


def fill(X, chunk=CHUNK):
    """Write rows of ten Gaussians into X, chunk by chunk; return their components."""
    stream = np.random.default_rng(0)
    centers = 2 * stream.standard_normal((CLUSTERS, FEATURES))
    y = stream.integers(CLUSTERS, size=len(X))
    for start in range(0, len(X), chunk):
        some = y[start : start + chunk]
        noise = stream.standard_normal((len(some), FEATURES))
        X[start : start + chunk] = centers[some] + noise
    return y


def drawn(n_rows):
    """Return rows of ten Gaussians with 50 features, as a Bunch."""
    X = np.empty((n_rows, FEATURES), dtype=np.float32)
    fill(X)
    return Bunch(X=X, n_clusters=CLUSTERS, name="mixture")

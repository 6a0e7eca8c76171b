"""Densities of held-out rows of tables: networks beside a Gaussian mixture and a kernel density.

``python benchmarks/accuracy/densities.py`` fits half of the rows and reports the mean log-density
of the other half, in nats per row in units of the standard deviations of the first half. The
mixture has the best BIC of 1 to 10 components and all covariance types, the kernel density the
best bandwidth of five folds. Networks have their defaults: a bound by 1,000 importance samples
for VAEEmbedding, the evidence lower bound for VaDEClustering.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import parse, parser
from lib.records import complete, described, timed
from lib.sets import load_sets

from skdeepcluster import VaDEClustering, VAEEmbedding

SETS = ("iris", "wine", "breast_cancer", "digits", "statlog")
KINDS = ("full", "tied", "diag", "spherical")
BANDWIDTHS = np.geomspace(0.05, 2, 15)


def draw_bent(seed, n_samples=1000, n_features=10):
    """Draw four Gaussians in three dimensions, through random weights and a tanh."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 1.2, (4, 3))
    y = rng.integers(4, size=n_samples)
    z = centers[y] + 0.4 * rng.normal(size=(n_samples, 3))
    X = np.tanh(z @ rng.normal(size=(3, n_features)))
    X += 0.05 * rng.normal(size=X.shape)
    return Bunch(X=X, y=y, n_clusters=4, name=f"bent {seed}")


def divide(data, seed):
    """Return both halves, standardized by the first, without its constant columns."""
    rng = np.random.default_rng(0)
    # Gray values are whole numbers, which would have an infinite density.
    noise = rng.random(data.X.shape) if data.name == "digits" else 0
    train, test = train_test_split(data.X + noise, test_size=0.5, random_state=seed)
    scaler = StandardScaler().fit(train)
    varies = train.std(0) > 0
    return scaler.transform(train)[:, varies], scaler.transform(test)[:, varies]


def fit_mixture(train, test, **_):
    """Return the log-densities of the mixture with the best BIC."""
    tried = [
        GaussianMixture(k, covariance_type=kind, reg_covar=1e-3, random_state=0).fit(train)
        for k in range(1, 11)
        for kind in KINDS
    ]
    return min(tried, key=lambda mixture: mixture.bic(train)).score_samples(test)


def fit_kernels(train, test, **_):
    """Return the log-densities of a kernel density."""
    search = GridSearchCV(KernelDensity(), {"bandwidth": BANDWIDTHS})
    return search.fit(train).best_estimator_.score_samples(test)


def fit_vade(train, test, n_clusters, seed):
    """Return VaDE's evidence lower bounds."""
    vade = VaDEClustering(n_clusters, kinds="numbers", random_state=seed)
    return vade.fit(train).score_samples(test)


def fit_vae(train, test, n_clusters, seed):
    """Return importance-weighted bounds."""
    vae = VAEEmbedding(n_clusters, kinds="numbers", random_state=seed)
    return vae.fit(train).score_samples(test, 1000)


METHODS = {
    "GaussianMixture": fit_mixture,
    "KernelDensity": fit_kernels,
    "VaDEClustering": fit_vade,
    "VAEEmbedding": fit_vae,
}


def measure(method, data, seed):
    """Return the mean log-density of the held-out rows, and the seconds."""
    train, test = divide(data, seed)
    options = {"n_clusters": data.n_clusters, "seed": seed}
    densities, seconds = timed(partial(METHODS[method], train, test, **options))
    return {"log_density": round(float(densities.mean()), 3), "seconds": seconds}


def main(arguments=None):
    """Measure all methods."""
    options = parse(parser(__doc__, seeds="0-2", sets=SETS), arguments)
    sets = [*load_sets(options.sets), draw_bent(0), draw_bent(1)]
    tasks = (
        (
            {"row": method, "seed": seed} | described(data),
            partial(measure, method, data, seed),
            "float64",
        )
        for data in sets
        for seed in options.seeds
        for method in METHODS
    )
    complete(options.out, ("row", "data", "seed"), tasks)


if __name__ == "__main__":
    main()

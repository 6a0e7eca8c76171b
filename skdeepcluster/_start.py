"""Where clusters come from: a mixture on the codes of a network, found without labels."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .gaussian_mixture import GaussianMixtureEM
from .neighbors import neighbor_start

#: Added to the variances of a mixture on codes, as a share of the codes' mean variance: a code
#: has directions that no row uses.
REG_COVAR = 1e-3


def code_mixture(codes, n_clusters, *, init, covariance_type, n_init, random_state):
    """Divide codes into clusters.

    Parameters
    ----------
    codes : ndarray of shape (N, L)
    n_clusters : int
    init : {"neighbors", "mixture"}
        "neighbors": one M-step from the partition seen in the codes' neighbour graph.
        "mixture": EM on the codes, the best of ``n_init`` starts.
    covariance_type : {"full", "tied", "diag", "spherical"}
    n_init : int
    random_state : RandomState

    Returns
    -------
    Mixture
        Float64, on the CPU.
    """
    mixture = GaussianMixtureEM(
        n_clusters,
        covariance_type=covariance_type,
        reg_covar=REG_COVAR * float(np.var(codes, axis=0).mean()) + np.finfo(np.float32).tiny,
        n_init=n_init,
        max_iter=200,
        device="cpu",
        random_state=random_state,
    )
    if init == "neighbors":
        start = neighbor_start(codes, n_clusters, random_state=random_state)
        mixture.set_params(init_params=start.responsibilities, max_iter=0)
    with warnings.catch_warnings():
        # Whether the clusters have rows is judged, and said, by the estimator.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(codes).mixture_

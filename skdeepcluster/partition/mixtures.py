"""The EM algorithm of the mixtures among the candidates."""

import numpy as np

from ..input.labels import share_out

#: Maximum number of iterations.
EM_ITERATIONS = 60
#: EM ends when the mean log-likelihood rises by less than this, in nats.
EM_TOLERANCE = 1e-3


def fit_by_em(statistics, resp, weights, estimate):
    """Return the coefficients (S, K) of log densities, and the mean log-likelihood.

    The log densities are sums of sufficient statistics (M, S), times the coefficients. EM begins
    with responsibilities (M, K) of samples with ``weights`` (M, 1). ``estimate`` is the M-step: a
    function of responsibilities that returns coefficients.
    """
    last = -np.inf
    for _ in range(EM_ITERATIONS):
        coefficients = estimate(resp)
        resp, likelihood = share_out(statistics @ coefficients, weights)
        if likelihood - last < EM_TOLERANCE:
            break
        last = likelihood
    return coefficients, likelihood

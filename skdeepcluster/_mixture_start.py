"""What users give a Gaussian mixture to start from, checked and turned into tensors."""

import numpy as np
import torch
from sklearn.utils import check_array

from .functional import gaussian


def covariance_shape(covariance_type, n_clusters, n_features):
    """Return scikit-learn's shape of covariances and precisions."""
    return {
        "full": (n_clusters, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_clusters, n_features),
        "spherical": (n_clusters,),
    }[covariance_type]


def given_fields(estimator, n_features, device):
    """Return the fields of a Mixture that an estimator's parameters give."""
    n_clusters, given = estimator.n_clusters, {}
    if estimator.weights_init is not None:
        weights = _checked("weights_init", estimator.weights_init, (n_clusters,))
        if (weights < 0).any() or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(
                "The parameter 'weights_init' should be at least 0 and sum to 1, but the least is "
                f"{weights.min():.6g} and the sum {weights.sum():.6g}. Divide the weights by "
                "their sum."
            )
        given["log_weights"] = torch.tensor(weights, device=device).log()
    if estimator.means_init is not None:
        means = _checked("means_init", estimator.means_init, (n_clusters, n_features))
        given["means"] = torch.tensor(means, device=device)
    if estimator.precisions_init is not None:
        kind = estimator.covariance_type
        shape = covariance_shape(kind, n_clusters, n_features)
        precisions = torch.tensor(_checked("precisions_init", estimator.precisions_init, shape))
        given["scales"] = _scales(precisions, kind).to(device)
    return given


def given_responsibilities(estimator, n_samples, device):
    """Return the responsibilities given as ``init_params``."""
    shape = (n_samples, estimator.n_clusters)
    resp = responsibilities("init_params", estimator.init_params, shape)
    return torch.tensor(resp, device=device)


def partition(name, value, n_samples, n_clusters):
    """Return responsibilities, (N, K), from such or from the cluster of each row."""
    if np.ndim(value) != 1:
        return responsibilities(name, value, (n_samples, n_clusters))
    labels = _checked(name, value, (n_samples,))
    if labels.min() < 0 or labels.max() >= n_clusters or np.any(labels % 1):
        raise ValueError(
            f"Clusters given as {name!r} should be whole numbers from 0 to n_clusters - 1 = "
            f"{n_clusters - 1}, but they run from {labels.min():.6g} to {labels.max():.6g}. "
            "Number them anew (sklearn.preprocessing.LabelEncoder) or change n_clusters."
        )
    return np.eye(n_clusters)[labels.astype(int)]


def responsibilities(name, value, shape):
    """Return responsibilities, checked, as float64."""
    resp = _checked(name, value, shape)
    sums = resp.sum(1)
    if (resp < 0).any() or np.abs(sums - 1).max() > 1e-3:
        raise ValueError(
            f"Responsibilities given as {name!r} should be at least 0 and each row sum to 1, "
            f"but the least is {resp.min():.6g} and sums run from {sums.min():.6g} to "
            f"{sums.max():.6g}. Pass probabilities, not logarithms or labels."
        )
    return resp


def _scales(precisions, covariance_type):
    """Turn precisions in scikit-learn's shape into scales."""
    if covariance_type in gaussian.MATRIX:
        precisions = precisions.unsqueeze(0) if covariance_type == "tied" else precisions
        wanted = "symmetric and positive definite"
        sound = torch.allclose(precisions, precisions.mT) and bool(
            (torch.linalg.eigvalsh(precisions) > 0).all()
        )
    else:
        precisions = precisions.unsqueeze(1) if covariance_type == "spherical" else precisions
        wanted, sound = "positive", bool((precisions > 0).all())
    if not sound:
        raise ValueError(
            f"The parameter 'precisions_init' should be {wanted} for "
            f"covariance_type={covariance_type!r}. Pass inverse covariances."
        )
    return gaussian.scales_from_precisions(precisions)


def _checked(name, value, shape):
    """Return a start as finite float64 numbers of the right shape."""
    value = check_array(value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name)
    if value.shape != shape:
        raise ValueError(
            f"The parameter {name!r} should have the shape of {shape}, but got {value.shape}"
        )
    return value

"""Codes of a generator: set their values, and measure what each of them changes."""

import numpy as np
import torch
from scipy.special import entr
from sklearn.metrics import mutual_info_score

from ..input.checks import check_finite
from ..input.labels import normalize_rows
from .base import apply

#: Number of features listed under "where".
FEATURES = 3


def set_codes(latent, codes, values):
    """Return Codes with some of them replaced by numbers or arrays (N,), given by name."""
    categories = codes.categories.clone()
    continuous = codes.continuous.clone()
    columns = [*categories.T, *continuous.T]
    for name, given in values.items():
        index = latent.find(name)
        column = columns[index]
        value = check_finite(name, np.ravel(given))
        if len(value) not in (1, len(column)):
            raise ValueError(
                f"Code {name!r} must be a number "
                f"or have shape ({len(column)},), got {value}."
            )

        if index < len(latent.sizes):
            size = latent.sizes[index]
            if not np.isin(value, range(size)).all():
                raise ValueError(
                    f"Code {name!r} must be whole numbers "
                    f"from 0 to {size - 1}, got {value}."
                )

        column.copy_(torch.as_tensor(value, device="cpu"))
    return codes._replace(categories=categories, continuous=continuous)


def report_codes(gan, codes):
    """Measure what each code does in samples generated from Codes.

    Returns a DataFrame if pandas is installed, else a dict of lists.
    """
    model = gan.model_
    latent = model.latent
    x = gan._render(codes)
    reading = _read_codes(model, x)
    # Neighboring samples are independent.
    unrelated = _mean_square(x, np.roll(x, 1, 0)).sum()
    information = latent.information(reading, codes, model.log_prior.cpu())

    records = []
    for index, name in enumerate(latent.names):
        low, high = _contrast(latent, codes, index)
        x_low = gan._render(low)
        x_high = gan._render(high)
        change = _mean_square(x_low, x_high)
        keeps_cluster = _read_clusters(model, x_low) == _read_clusters(model, x_high)

        record = {
            "code": name,
            "kind": "categorical" if index < len(latent.sizes) else "continuous",
            "change": _ratio(change.sum(), unrelated) ** 0.5,
            **_locate(change, gan),
            "keeps_cluster": float(keeps_cluster.mean()),
            **_read_back(codes, reading, index),
            "information": float(information[index]),
            "distance": gan.generator_distance_,
        }
        records.append(record)

    try:
        import pandas as pd
    except ImportError:
        return {key: [record[key] for record in records] for key in records[0]}
    return pd.DataFrame(records)


def _read_codes(model, x):
    """Return the Reading of samples by Q."""

    def read(x):
        return model.reader(model.body(model.standardize(x)))

    readings = apply(model, read, x)
    return model.latent.read(torch.from_numpy(readings))


def _read_clusters(model, x):
    return _read_codes(model, x).log_probs[0].argmax(1).numpy()


def _contrast(latent, codes, index):
    """Return Codes with a code at -1 and 1, or at its own category and at another one."""
    name = latent.names[index]
    if index >= len(latent.sizes):
        return [set_codes(latent, codes, {name: value}) for value in (-1, 1)]

    size = latent.sizes[index]
    own = codes.categories[:, index].numpy()
    shift = 1 + np.arange(len(own)) % max(1, size - 1)
    return codes, set_codes(latent, codes, {name: (own + shift) % size})


def _locate(change, gan):
    """Return the effective number of features of a squared change (D,), and the largest ones."""
    shares = normalize_rows(change[None])[0]
    names = getattr(gan, "feature_names_in_", np.arange(len(change)))

    largest = np.argsort(-shares, kind="stable")[:FEATURES]
    return {
        "n_features": float(np.exp(entr(shares).sum())),
        "where": tuple(names[largest].tolist()),
    }


def _read_back(codes, reading, index):
    """Return how much a code explains of the others in a Reading, and how well it is read back.

    The former is the maximum share of variance, the latter I(c; c') / H(c) or R squared.
    """
    values = [*codes.categories.T.numpy(), *codes.continuous.T.numpy()][index]
    means = reading.mean.T.numpy()
    n_categories = len(reading.log_probs)

    explained = [0.0]
    for other, mean in enumerate(means, start=n_categories):
        if other == index:
            continue
        mean = mean.astype(np.float64)
        effect = values
        if index < n_categories:
            # The mean of each category.
            sums = np.bincount(values, mean)
            effect = sums[values] / np.bincount(values)[values]
        explained.append(_squared_correlation(effect, mean))

    if index < n_categories:
        found = reading.log_probs[index].argmax(1).numpy()
        information = mutual_info_score(values, found)
        read_back = _ratio(information, mutual_info_score(values, values))
    else:
        read_back = _squared_correlation(values, means[index - n_categories])
    return {"moves_others": max(explained), "read_back": read_back}


def _mean_square(a, b):
    """Return the mean squared difference of samples in each feature, (D,)."""
    return np.square(a.astype(np.float64) - b).mean(0)


def _squared_correlation(a, b):
    """Return the squared correlation of two arrays (N,), 0 if one is constant."""
    a = a.astype(np.float64) - a.mean()
    b = b.astype(np.float64) - b.mean()
    return _ratio((a @ b) ** 2, (a @ a) * (b @ b))


def _ratio(part, whole):
    """Return part / whole, 0 if the whole is 0."""
    return float(part / whole) if whole > 0 else 0.0

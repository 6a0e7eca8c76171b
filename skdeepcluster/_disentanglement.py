"""Codes of a generator: set their values, and measure what each of them changes."""

import numpy as np
import torch
from scipy.special import entr
from sklearn.metrics import mutual_info_score

from ._base import apply
from ._checks import check_finite
from ._labels import normalize_rows

#: Number of features listed under "where".
FEATURES = 3


def report(gan, n_samples):
    """Return the report as a DataFrame if pandas is installed, else as a dict of lists."""
    latent, drawn = gan.model_.latent, gan._draw(n_samples)
    rendered, reading = _read(gan, drawn)
    unrelated = np.square(rendered - np.roll(rendered, 1, 0)).mean(
        0
    )  # samples are independent
    bounds = latent.information(reading, drawn, gan.model_.log_prior.cpu()).numpy()
    records = []
    for index, name in enumerate(gan.code_names_):
        low, high = _set_two_values(drawn, index, latent)
        (before, read_before), (after, read_after) = _read(gan, low), _read(gan, high)
        change = np.square(after - before).mean(0)
        same = read_before.log_probs[0].argmax(1) == read_after.log_probs[0].argmax(1)
        records.append(
            {
                "code": name,
                "kind": "categorical" if index < len(latent.sizes) else "continuous",
                "change": _ratio(change.sum(), unrelated.sum()) ** 0.5,
                **_locate(change, gan),
                "keeps_cluster": float(same.double().mean()),
                "moves_others": _explain_others(index, drawn, reading, latent),
                "read_back": _read_back(index, drawn, reading, latent),
                "information": float(bounds[index]),
                "distance": getattr(gan, "generator_distance_", np.nan),
            }
        )
    columns = {name: [record[name] for record in records] for name in records[0]}
    try:
        import pandas as pd
    except ImportError:
        return columns
    return pd.DataFrame(columns)


def _read(gan, codes):
    """Return the samples generated from codes, as float64, and the Reading of them by Q."""
    rows, model = gan._render(codes), gan.model_
    readings = apply(
        model, lambda x: model.reader(model.body(model.standardize(x))), rows
    )
    return rows.astype(np.float64), model.latent.read(torch.from_numpy(readings))


def _set_two_values(drawn, index, latent):
    """Return the codes with code ``index`` at -1 and 1, or at its category and at another one."""
    if index < len(latent.sizes):
        size, other = latent.sizes[index], drawn.categories.clone()
        shift = 1 + torch.arange(len(other), device=other.device) % max(1, size - 1)
        other[:, index] = (other[:, index] + shift) % size
        return drawn, drawn._replace(categories=other)
    low, high = drawn.continuous.clone(), drawn.continuous.clone()
    low[:, index - len(latent.sizes)], high[:, index - len(latent.sizes)] = -1.0, 1.0
    return drawn._replace(continuous=low), drawn._replace(continuous=high)


def _locate(change, gan):
    """Return the effective number of features of a squared change (D,), and the largest ones."""
    shares = normalize_rows(change[None])[0]
    n_features = float(np.exp(entr(shares).sum()))
    names = getattr(gan, "feature_names_in_", np.arange(len(change)))
    largest = np.argsort(-shares, kind="stable")[:FEATURES]
    return {"n_features": n_features, "where": tuple(names[largest].tolist())}


def _explain_others(index, drawn, reading, latent):
    """Return the maximum share of variance that a code explains in the reading of another."""
    n_categories = len(latent.sizes)
    means = reading.mean.double().numpy()
    shares = [0.0]
    for j in range(latent.n_continuous):
        if j + n_categories == index:
            continue
        if index < n_categories:  # the mean of each category
            groups = drawn.categories[:, index].numpy()
            sums, sizes = np.bincount(groups, means[:, j]), np.bincount(groups)
            own = sums[groups] / sizes[groups]
        else:
            own = drawn.continuous[:, index - n_categories].numpy()
        shares.append(_squared_correlation(own, means[:, j]))
    return max(shares)


def _read_back(index, drawn, reading, latent):
    """Return how well Q reads a code back: I(c; c') / H(c), or the squared correlation."""
    n_categories = len(latent.sizes)
    if index >= n_categories:
        j = index - n_categories
        return _squared_correlation(
            drawn.continuous[:, j].numpy(), reading.mean[:, j].numpy()
        )
    value, read = (
        drawn.categories[:, index].numpy(),
        reading.log_probs[index].argmax(1).numpy(),
    )
    return _ratio(mutual_info_score(value, read), mutual_info_score(value, value))


def _squared_correlation(a, b):
    """Return the squared correlation of two arrays (N,), 0 if one is constant."""
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    return _ratio((a @ b) ** 2, (a @ a) * (b @ b))


def _ratio(part, whole):
    """Return part / whole, 0 if the whole is 0."""
    return float(part / whole) if whole > 0 else 0.0


def set_codes(latent, codes, values):
    """Return Codes with some of them replaced by numbers or arrays (N,), given by name."""
    categories, continuous = codes.categories.clone(), codes.continuous.clone()
    columns = [*categories.T, *continuous.T]
    for name, given in values.items():
        index, value = latent.find(name), check_finite(name, np.ravel(given))
        if len(value) not in (1, len(categories)):
            raise ValueError(
                f"Code {name!r} must be a number or have shape ({len(categories)},), got {value}."
            )
        if (
            index < len(latent.sizes)
            and not np.isin(value, range(latent.sizes[index])).all()
        ):
            last = latent.sizes[index] - 1
            raise ValueError(
                f"Code {name!r} must be whole numbers from 0 to {last}, got {value}."
            )
        columns[index].copy_(torch.as_tensor(value, device="cpu"))
    return codes._replace(categories=categories, continuous=continuous)

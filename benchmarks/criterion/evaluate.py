"""Say how well trees choose among partitions, and by which features."""

import json
from collections.abc import Callable, Sequence

import numpy as np

from .draw_common import Array
from .measure import Record
from .train import FOLDS, Forest, Forests, fit_scores

#: Returns expected scores (C,) for features (C, F).
Predict = Callable[[Array], Array]


def score_choice(
    records: Sequence[Record], predictions: Sequence[Predict]
) -> dict[str, float]:
    """Return mean scores with the right number given: the choice, each method, the best.

    There is a function that predicts scores for each record.
    """
    rows = []
    for record, predict in zip(records, predictions, strict=True):
        _, methods, features, scores = record.partitions
        is_candidate = methods != ""
        if is_candidate.any():
            methods = methods[is_candidate]
            scores = scores[is_candidate]
            chosen = predict(features[is_candidate]).argmax()
            row = {name: scores[methods == name][0] for name in set(methods)}
            rows.append(row | {"choice": scores[chosen], "best": scores.max()})

    names = sorted({name for row in rows for name in row})
    return {
        name: float(np.mean([row[name] for row in rows if name in row]))
        for name in names
    }


def score_out_of_fold(
    records: Sequence[Record], folds: Sequence[Forests]
) -> dict[str, float]:
    """Return mean scores of what is chosen by trees that have not seen the data set."""
    predictions = [
        folds[i % FOLDS][f"choice, {record.summary.space}"].predict
        for i, record in enumerate(records)
    ]
    return score_choice(records, predictions)


def leave_kinds_out(records: Sequence[Record]) -> None:
    """Print, for each kind, what is chosen by trees that were fitted to all other kinds."""
    summaries = [record.summary for record in records]
    for kind in sorted({each.kind for each in summaries if each.n_clusters > 1}):
        others = [record for record in records if record.summary.kind != kind]
        forests = fit_scores(others)
        own = [record for record in records if record.summary.kind == kind]
        predictions = [
            forests[f"choice, {record.summary.space}"].predict for record in own
        ]
        means = score_choice(own, predictions)
        print(json.dumps({"left out": kind} | means), flush=True)


def measure_gains(forest: Forest) -> dict[str, dict[str, float]]:
    """Return the share of the total gain that the splits by each feature have, largest first.

    Shares are by the form of the feature: its value, standardized, or its rank.
    """
    gains = np.zeros(len(forest.names))
    for (predictor,) in forest.trees._predictors:
        is_leaf = predictor.nodes["is_leaf"].astype(bool)
        inner = predictor.nodes[~is_leaf]
        np.add.at(gains, inner["feature_idx"], inner["gain"])
    gains = gains / gains.sum()

    shares: dict[str, dict[str, float]] = {}
    for name, gain in zip(forest.names, gains, strict=True):
        feature, _, form = name.partition(", ")
        share = round(float(gain), 5)
        shares.setdefault(feature, {})[form or "value"] = share
    return dict(sorted(shares.items(), key=lambda item: -sum(item[1].values())))

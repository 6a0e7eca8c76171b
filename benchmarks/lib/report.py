"""The comparison as one self-contained HTML file: the table, and pictures of every method."""

import base64
import html
from io import BytesIO
from pathlib import Path
from string import Template
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import ClusterMixin

from skdeepcluster.display import (
    ClusterConfusionDisplay,
    EmbeddingDisplay,
    HistoryDisplay,
    ReliabilityDisplay,
    SamplesDisplay,
    StabilityDisplay,
    TraversalDisplay,
)
from skdeepcluster.metrics import match_labels

TEMPLATE = Path(__file__).with_name("report.html")
MAX_POINTS = 3000  # of an embedding


class Fit(NamedTuple):
    """The fit of a method that is drawn."""

    method: str
    seed: int
    score: float
    estimator: ClusterMixin
    labels: np.ndarray


def write(path, table, errors, best, data, **texts):
    """Write the report.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    table : DataFrame
        A line for each method.
    errors : list of str
        Errors and warnings of the fits.
    best : iterable of Fit
        The fits that are drawn.
    data : Bunch
        The data, see ``lib/datasets.py``.
    **texts : str
        Fields "title", "description", "versions" and "command" of the template.
    """
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        {name: html.escape(text) for name, text in texts.items()},
        table=table.to_html(index=False, border=0),
        errors="".join(f'<p class="error">{html.escape(text)}</p>' for text in errors),
        sections="".join(_section(fit, data) for fit in best),
    )
    Path(path).write_text(page, encoding="utf-8")


def _section(fit, data):
    seed = f"Seed {fit.seed}, the best of the seeds by score ({fit.score:.5g})."
    pictures = []
    for caption, draw in PICTURES.items():
        try:
            figure = draw(fit, data)
            pictures.append(_image(figure, caption) if figure else "")
        except Exception as error:  # the other pictures and the table are still written
            text = f"{caption} could not be drawn: {type(error).__name__}: {error}"
            pictures.append(f'<p class="error">{html.escape(text)}</p>')
        plt.close("all")
    return (
        f'<section><h2>{html.escape(fit.method)}</h2><p class="note">{seed}</p>'
        f'<div class="pictures">{"".join(pictures)}</div></section>'
    )


def _image(figure, caption):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    caption = html.escape(caption)
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<img alt="{caption}" src="data:image/png;base64,{code}"></figure>'
    )


def _named(labels, data):
    """Return class numbers as names, if the data have names."""
    if data.target_names is None:
        return labels
    names = dict(enumerate(data.target_names))
    return np.array([names.get(int(label), f"cluster {label}") for label in labels])


def _embedding(fit, data):
    rows = np.random.RandomState(0).permutation(data.X.shape[0])[:MAX_POINTS]
    X = data.X[rows]
    embedding = fit.estimator.transform(X) if hasattr(fit.estimator, "transform") else X
    if data.y is None:
        return EmbeddingDisplay(embedding, fit.labels[rows], method="neighbors").plot().figure_
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.3), layout="constrained")
    panels = {"clusters": match_labels(data.y, fit.labels), "classes": data.y}
    for ax, (name, labels) in zip(axes, panels.items(), strict=True):
        shown = _named(labels[rows], data)
        EmbeddingDisplay(embedding, shown, method="neighbors", name=name).plot(ax)
    return figure


def _form(data):
    return {"image_shape": data.image_shape, "feature_names": data.feature_names}


def _samples(fit, data):
    if not hasattr(fit.estimator, "sample"):
        return None
    return SamplesDisplay.from_estimator(fit.estimator, **_form(data)).figure_


def _codes(fit, data):
    if not hasattr(fit.estimator, "traverse"):
        return None
    return TraversalDisplay.from_estimator(fit.estimator, **_form(data)).figure_


def _confusion(fit, data):
    if data.y is None:
        return None
    return ClusterConfusionDisplay.from_predictions(_named(data.y, data), fit.labels).figure_


def _reliability(fit, data):
    if data.y is None or not hasattr(fit.estimator, "predict_proba"):
        return None
    return ReliabilityDisplay.from_estimator(fit.estimator, data.X, data.y).figure_


def _stability(fit, data):
    if not hasattr(fit.estimator, "cluster_stability"):
        return None
    return StabilityDisplay.from_estimator(fit.estimator).figure_


def _training(fit, data):
    if not (getattr(fit.estimator, "history_", None) or hasattr(fit.estimator, "lower_bounds_")):
        return None
    return HistoryDisplay.from_estimator(fit.estimator).figure_


#: Caption -> function of a fit and the data that returns a figure, or None.
PICTURES = {
    "Embedding by neighbors": _embedding,
    "Generated samples": _samples,
    "What the codes change": _codes,
    "Clusters and classes": _confusion,
    "Reliability of the probabilities": _reliability,
    "Stability of the clusters": _stability,
    "Training": _training,
}

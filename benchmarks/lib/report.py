"""The comparison as one self-contained HTML file: the table, and pictures of every method."""

import base64
import html
from io import BytesIO
from pathlib import Path
from string import Template
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import ClusterMixin
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay

from skdeepcluster import display
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
    """Write the report to an HTML file.

    `table` is a DataFrame with a line for each method, `errors` a list of str, `best` the fits
    that are drawn; "title", "description", "versions" and "command" are fields of the template.
    """
    names = [html.escape(fit.method) for fit in best]
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        {name: html.escape(text) for name, text in texts.items()},
        table=table.to_html(index=False, border=0),
        errors="".join(f'<p class="error">{html.escape(text)}</p>' for text in errors),
        links="".join(f'<a href="#{name}">{name}</a>' for name in names),
        sections="".join(_section(fit, data) for fit in best),
    )
    Path(path).write_text(page, encoding="utf-8")


def _section(fit, data):
    pictures = []
    for caption, draw in _pictures(fit, data).items():
        try:
            pictures.append(_image(draw(), caption))
        except Exception as error:  # the other pictures and the table are still written
            text = f"{caption} could not be drawn: {type(error).__name__}: {error}"
            pictures.append(f'<p class="error">{html.escape(text)}</p>')
        plt.close("all")
    seed = f"Seed {fit.seed}, the best of the seeds by score ({fit.score:.5g})."
    name = html.escape(fit.method)
    return (
        f'<section id="{name}"><h2>{name}</h2><p class="note">{seed}</p>'
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
        drawn = display.EmbeddingDisplay(embedding, fit.labels[rows], method="neighbors")
        return drawn.plot().figure_
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.3), layout="constrained")
    panels = {"clusters": match_labels(data.y, fit.labels), "classes": data.y}
    for ax, (name, labels) in zip(axes, panels.items(), strict=True):
        shown = _named(labels[rows], data)
        display.EmbeddingDisplay(embedding, shown, method="neighbors", name=name).plot(ax)
    return figure


def _pictures(fit, data):
    """Return functions that draw a figure, by caption, for all that the estimator offers."""
    estimator, y = fit.estimator, data.y
    form = {"image_shape": data.image_shape, "feature_names": data.feature_names}
    drawn = {"Embedding by neighbors": lambda: _embedding(fit, data)}

    def add(caption, draw, *arguments, **options):
        drawn[caption] = lambda: draw(*arguments, **options).figure_

    if hasattr(estimator, "sample"):
        add("Generated samples", display.SamplesDisplay.from_estimator, estimator, **form)
    if hasattr(estimator, "traverse"):
        add("What the codes change", display.TraversalDisplay.from_estimator, estimator, **form)
    if y is not None:
        classes = _named(y, data)
        matched = match_labels(classes, fit.labels)
        add("Clusters and classes", ConfusionMatrixDisplay.from_predictions, classes, matched)
    if y is not None and hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(data.X)
        right = match_labels(y, probabilities.argmax(1)) == y
        bins = {"n_bins": 10, "strategy": "quantile"}
        draw = CalibrationDisplay.from_predictions
        add("Reliability of the probabilities", draw, right, probabilities.max(1), **bins)
    if getattr(estimator, "history_", None):
        history = pd.DataFrame(estimator.history_).select_dtypes("number")
        drawn["Training"] = lambda: _curves(history.drop(columns=["epoch", "dur"]))
    elif hasattr(estimator, "lower_bounds_"):
        bounds = pd.DataFrame({"lower bound": estimator.lower_bounds_})
        drawn["Training"] = lambda: _curves(bounds)
    return drawn


def _curves(history):
    """Return a figure with a panel for each column."""
    panels = history.plot(subplots=True, layout=(-1, 2), figsize=(11, 1.6 * len(history.columns)))
    return panels.flat[0].figure

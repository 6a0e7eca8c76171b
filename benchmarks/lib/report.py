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
        given = _named(y, data), fit.labels
        add("Clusters and classes", display.ClusterConfusionDisplay.from_predictions, *given)
    if y is not None and hasattr(estimator, "predict_proba"):
        given = estimator, data.X, y
        add("Reliability of the probabilities", display.ReliabilityDisplay.from_estimator, *given)
    if getattr(estimator, "history_", None) or hasattr(estimator, "lower_bounds_"):
        add("Training", display.HistoryDisplay.from_estimator, estimator)
    return drawn

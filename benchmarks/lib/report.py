"""The comparison as one self-contained HTML file: table, and pictures of every method."""

import base64
import html
from collections import namedtuple
from datetime import datetime
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skdeepcluster.display import (
    ClusterConfusionDisplay,
    EmbeddingDisplay,
    HistoryDisplay,
    NumberOfClustersDisplay,
    ReliabilityDisplay,
    SamplesDisplay,
    StabilityDisplay,
    TraversalDisplay,
)
from skdeepcluster.metrics import match_labels

from . import summary, toys
from .internals import COLORS

Fit = namedtuple("Fit", "method seed score estimator labels")

#: Rows of an embedding that are drawn, and of a fit that counts clusters, at most.
MAX_POINTS = 3000
STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f4f5f7; color: #1f2933;
  font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
header { background: #16324f; color: #fff; padding: 28px 0; }
header p { margin-top: 4px; margin-bottom: 0; color: #c9d6e3; }
header > *, main { max-width: 1240px; margin-left: auto; margin-right: auto; padding: 0 24px; }
h1 { margin-top: 0; margin-bottom: 0; font-size: 26px; font-weight: 600; }
h2 { margin: 0 0 4px; font-size: 20px; font-weight: 600; }
section { background: #fff; border: 1px solid #dfe3e8; border-radius: 8px;
  padding: 20px 24px; margin: 20px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px;
  font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; border-bottom: 2px solid #16324f; }
td { text-align: right; border-bottom: 1px solid #e4e7eb; }
th, td { padding: 6px 8px; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; font-weight: 600; }
tr.failed td { color: #b42318; }
.note { color: #52606d; font-size: 13px; margin: 6px 0; }
.error { color: #b42318; font-size: 13px; margin: 6px 0; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 20px; align-items: flex-start; }
figure { margin: 12px 0 0; min-width: 0; }
figure.wide { flex: 1 1 100%; }
figure.half { flex: 1 1 45%; }
figcaption { color: #52606d; font-size: 13px; margin-bottom: 6px; }
img { max-width: 100%; height: auto; display: block; }
code { font-size: 12px; overflow-wrap: anywhere; }
"""


def write(path, data, rows, best, info, projection="neighbors"):
    """Write the report.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    data : Bunch
        As loaded by datasets.load.
    rows : list of dict
        One per fit.
    best : dict of str to Fit
        The fit of each method that is drawn.
    info : dict
        The command and the versions, for the header.
    projection : {"pca", "tsne", "neighbors"}
        Of embeddings of more than two columns.
    """
    parts = [_header(data, info), "<main>", _table(data, rows)]
    parts += [_method(fit, data, projection) for fit in best.values()]
    parts += [_toys()] if "CatGANClustering" in best else []
    title = f"Clustering of {html.escape(data.name)}"
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
    )
    page += "\n".join([*parts, "</main></body></html>\n"])
    Path(path).write_text(page, encoding="utf-8")


def _toys():
    picture = _image(toys.figure(), "Regions of k-means and CatGAN, and adjusted Rand", "wide")
    return f'<section><h2>Toy data</h2><div class="pictures">{picture}</div></section>'


def _header(data, info):
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    versions = ", ".join(f"{name} {value}" for name, value in info.items() if name != "command")
    return (
        f"<header><h1>Clustering of {html.escape(data.name)}</h1>"
        f"<p>{html.escape(summary.describe(data))}</p><p>{html.escape(f'{date} · {versions}')}</p>"
        f"<p><code>{html.escape(info['command'])}</code></p></header>"
    )


def _table(data, rows):
    header, lines = summary.summarise(rows, data)
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = ""
    for line in lines:
        failed = ' class="failed"' if "failed" in line else ""
        body += f"<tr{failed}>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>\n"
    errors = "".join(f'<p class="error">{html.escape(t)}</p>' for t in summary.failures(rows))
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in summary.notes(data))
    return (
        f'<section><h2>Results</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}</tbody></table></div>{errors}{notes}{_spread(rows)}</section>"
    )


def _spread(rows):
    """Accuracy of every seed, by method."""
    good = [row for row in rows if row["acc"] is not None]
    if not good:
        return ""
    methods = list(dict.fromkeys(row["method"] for row in good))
    figure, ax = plt.subplots(figsize=(10, 0.9 + 0.34 * len(methods)), layout="constrained")
    for place, method in enumerate(methods):
        acc = [row["acc"] for row in good if row["method"] == method]
        ax.plot(acc, [place] * len(acc), "o", ms=7, alpha=0.6, color=COLORS[0], mew=0)
        ax.plot(np.median(acc), place, "|", ms=16, mew=2.5, color="#16324f")
    ax.set(xlabel="ACC", xlim=(0, 1), ylim=(len(methods) - 0.5, -0.5))
    ax.set_yticks(range(len(methods)), methods)
    ax.grid(axis="x", alpha=0.3)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return _image(figure, "ACC of every seed; the bar is the median", "wide")


def _method(fit, data, projection):
    seed = f"Seed {fit.seed}, the best of the seeds by score ({fit.score:.5g})."
    pictures = []
    for draw in DRAWN:
        try:
            pictures.append(draw(fit, data, projection))
        except Exception as error:  # a picture must not cost the table
            text = f"{draw.__name__[1:]} could not be drawn: {type(error).__name__}: {error}"
            pictures.append(f'<p class="error">{html.escape(text)}</p>')
        plt.close("all")
    return (
        f'<section><h2>{html.escape(fit.method)}</h2><p class="note">{seed}</p>'
        f'<div class="pictures">{"".join(pictures)}</div></section>'
    )


def _draw_rows(data):
    """Return the positions of the rows that are drawn."""
    return np.random.RandomState(0).permutation(data.X.shape[0])[:MAX_POINTS]


def _embedding(fit, data, projection):
    rows = _draw_rows(data)
    has_transform = hasattr(fit.estimator, "transform")
    embedding = fit.estimator.transform(data.X[rows]) if has_transform else data.X[rows]
    display = EmbeddingDisplay(
        embedding,
        _matched(fit, data)[rows],
        method=projection,
        feature_names=None if has_transform or data.X.shape[1] > 2 else data.feature_names,
    )
    n_panels = 1 if data.y is None else 2
    size = {"figsize": (5.6 * n_panels, 4.3), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(ncols=n_panels, sharex=True, sharey=True, **size)
    left = display.plot(axes[0, 0]).ax_
    source = "transform(X)" if has_transform else "X"
    caption = f"Embedding: {projection} of {source}, {len(rows):,} samples"
    left.set_title("coloured by cluster")
    if data.y is not None:
        names = [left.get_xlabel(), left.get_ylabel()]
        classes = _names(data.y[rows], data)
        classes = EmbeddingDisplay(display.points_, classes, feature_names=names)
        classes.plot(axes[0, 1], name="coloured by class").ax_.set_ylabel("")
        left.title.set_fontsize("medium")
    return _image(figure, caption, "wide")


def _form(data):
    """Return what the rows of the data are, for displays of rows."""
    return {"image_shape": data.image_shape, "feature_names": data.feature_names}


def _samples(fit, data, projection):
    style = {}
    if data.image_shape is not None:
        style = {"vmin": data.X.min(), "vmax": data.X.max()}
    if hasattr(fit.estimator, "sample"):
        display = SamplesDisplay.from_estimator(fit.estimator, **_form(data), name="", **style)
        caption = "Generated samples"
        if display.labels is not None and _rename(display, fit, data):
            plt.close(display.figure_)
            display.plot(**style)
            caption += ", clusters named after their classes"
        return _image(display.figure_, caption, _width(data))
    centers = getattr(fit.estimator, "cluster_centers_", None)
    if centers is None:
        return ""
    found = dict(zip(fit.labels, _matched(fit, data), strict=True))
    names = [str(found.get(k, f"cluster {k}")) for k in range(len(centers))]
    labels = None if data.image_shape else names
    display = SamplesDisplay(centers, labels, **_form(data))
    display.plot(**style)
    caption = "Cluster centres" if labels else f"Centres of the clusters {', '.join(names)}"
    return _image(display.figure_, caption, _width(data))


def _traversals(fit, data, projection):
    if not hasattr(fit.estimator, "traverse"):
        return ""
    style = {}
    if data.image_shape is not None:
        style = {"vmin": data.X.min(), "vmax": data.X.max()}
    display = TraversalDisplay.from_estimator(fit.estimator, **_form(data), name="", **style)
    caption = "Codes: clusters, each column with its noise; continuous codes from -2 to 2"
    return _image(display.figure_, caption, "wide") + _code_report(fit.estimator)


def _code_report(estimator):
    report = estimator.code_report()
    report["where"] = [", ".join(map(str, names)) for names in report["where"]]
    cells = [
        [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in report.values
    ]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in report.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in cells
    )
    return (
        '<figure class="wide"><figcaption>What each code does (code_report)</figcaption>'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div></figure>"
    )


def _rename(display, fit, data):
    """Name the clusters as in the other pictures, where all of them have rows of the data."""
    names = dict(zip(fit.labels, _matched(fit, data), strict=True))
    if data.y is None or set(display.labels) - set(names):
        return False
    display.labels = [names[label] for label in display.labels]
    return True


def _width(data):
    return "wide" if data.image_shape is None else "half"


def _confusion(fit, data, projection):
    if data.y is None:
        return ""
    display = ClusterConfusionDisplay.from_predictions(_names(data.y, data), fit.labels)
    return _image(display.figure_, f"Clusters and classes: ACC {display.accuracy_:.3f}", "half")


def _reliability(fit, data, projection):
    if data.y is None or not hasattr(fit.estimator, "predict_proba"):
        return ""
    display = ReliabilityDisplay.from_estimator(fit.estimator, data.X, data.y, name="")
    return _image(display.figure_, "Reliability of the probabilities", "half")


def _stability(fit, data, projection):
    if not any(hasattr(fit.estimator, f"cluster_stability{end}") for end in ("", "_")):
        return ""
    display = StabilityDisplay.from_estimator(fit.estimator, name="")
    return _image(display.figure_, "Stability of the clusters, by their own numbers", "half")


def _number_of_clusters(fit, data, projection):
    """Draw the curve of another fit, which counts the clusters of some of the rows."""
    if fit.method != "NeighborClustering":
        return ""
    X = data.X[np.sort(_draw_rows(data))]
    counted = clone(fit.estimator).set_params(n_clusters="auto").fit(X)
    display = NumberOfClustersDisplay.from_estimator(counted, name="")
    caption = f'Number of clusters that n_clusters="auto" finds in {X.shape[0]:,} rows'
    return _image(display.figure_, caption, "half")


def _curves(fit, data, projection):
    if not (getattr(fit.estimator, "history_", None) or hasattr(fit.estimator, "lower_bounds_")):
        return ""
    display = HistoryDisplay.from_estimator(fit.estimator, name="")
    return _image(display.figure_, "Training", "half" if len(display.axes_) == 1 else "wide")


#: The pictures of a method, in this order; each returns HTML, empty where it has no picture.
DRAWN = (_embedding, _samples, _traversals, _confusion, _reliability)
DRAWN += (_stability, _number_of_clusters, _curves)


def _matched(fit, data):
    if data.y is None:
        return fit.labels
    return _names(match_labels(data.y, fit.labels), data)


def _names(labels, data):
    """Class numbers as names, where the data have names."""
    if data.target_names is None:
        return labels
    names = dict(enumerate(data.target_names))
    return np.array([names.get(int(label), f"cluster {label}") for label in labels])


def _image(figure, caption, width):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    caption = html.escape(caption)
    return (
        f'<figure class="{width}"><figcaption>{caption}</figcaption>'
        f'<img alt="{caption}" src="data:image/png;base64,{code}"></figure>'
    )

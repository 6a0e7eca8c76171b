"""The three pictures of the project's README and one of RESULTS.md, as PNG of at most 60 KB.

    python benchmarks/pictures.py                  all of them, into benchmarks/results

``digits_drawn.png``: rows that DACClustering draws of each cluster of the digits, beside the
layout of its codes. ``number_of_clusters.png``: how NeighborClustering("auto") chooses K on wine
and digits. ``accuracy_and_seconds.png``: means over the sets on which every method has records in
``clusterers.jsonl``. ``critical_difference.png``: mean ranks over these sets, and those that do
not differ. Labels of classes are not used but for the accuracy.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lib.critical_difference import draw as draw_ranks
from lib.internals import COLORS
from lib.methods import NETWORKS
from lib.records import read
from lib.standings import least_seconds, means, ranks
from matplotlib.colors import to_rgb
from sklearn.datasets import load_digits, load_wine
from sklearn.preprocessing import StandardScaler

from skdeepcluster import DACClustering, NeighborClustering
from skdeepcluster.display import EmbeddingDisplay, NumberOfClustersDisplay, SamplesDisplay

RESULTS = Path(__file__).parent / "results"
#: Method -> its name in the picture, and the side of the point on which it stands.
OTHERS = {
    "KMeans": ("KMeans", "right"),
    "GaussianMixture": ("GaussianMixture", "right"),
    "Ward": ("Ward", "right"),
    "SpectralClustering": ("SpectralClustering", "right"),
    "HDBSCAN": ("HDBSCAN", "right"),
    "umap-learn + GMM": ("UMAP + mixture", "left"),
    "EVoC": ("EVoC", "right"),
}
#: All methods of these pictures.
METHODS = [*OTHERS, "NeighborClustering", *NETWORKS]
#: Least accuracy that is drawn to scale; methods below it stand there, with their number.
LEAST = 0.68


def draw_digits():
    """Draw rows of digits of each cluster beside the layout coloured by cluster."""
    X = load_digits().data / 16
    clusterer = DACClustering(10, random_state=0).fit(X)
    letters = np.array(list("ABCDEFGHIJ"))  # numbers would be taken for digits
    style = {"figsize": (8, 3.9), "width_ratios": [1.1, 1], "layout": "constrained"}
    figure, axes = plt.subplots(1, 2, **style)
    rows = np.concatenate([clusterer.sample(10, cluster=k) for k in range(10)])
    drawn = SamplesDisplay(rows, np.repeat(letters, 10), image_shape=(8, 8))
    drawn.plot(axes[0], name="digits that DACClustering draws of each cluster", vmin=0, vmax=1)
    axes[0].title.set_fontsize("medium")
    for label, color in zip(axes[0].get_yticklabels(), COLORS, strict=True):
        dark = np.mean(to_rgb(color)) < 0.55
        patch = {"facecolor": color, "edgecolor": "none", "pad": 2}
        label.set(color="white" if dark else "black", weight="bold", bbox=patch)
    name = f"neighbour layout of the codes of {len(X):,} rows"
    layout = EmbeddingDisplay(
        clusterer.transform(X), letters[clusterer.labels_], method="neighbors", name=name
    )
    layout.plot(axes[1], legend=False, s=12)
    layout.ax_.set(xlabel="axis 1 (no unit)", ylabel="axis 2 (no unit)")
    return figure


def draw_numbers_of_clusters():
    """Draw the curves by which the number of clusters is chosen."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    sets = {
        "wine, three cultivars": StandardScaler().fit_transform(load_wine().data),
        "digits, ten classes": load_digits().data / 16,
    }
    for ax, (name, X) in zip(axes, sets.items(), strict=True):
        clusterer = NeighborClustering("auto", random_state=0).fit(X)
        display = NumberOfClustersDisplay.from_estimator(clusterer, name=name, ax=ax)
        display.ax_.title.set_fontsize("medium")
        display.ax_.set_xlim(0, 30)
    return figure


def average(records):
    """Return seconds and ACC of each method, means over the sets that all have, and these."""
    acc, seconds = means(records, "acc", 0.0), least_seconds(records)
    common = find_common(acc)
    found = {
        method: [np.mean([values[name, method] for name in common]) for values in (seconds, acc)]
        for method in METHODS
    }
    return found, common


def find_common(acc):
    """Return the sets on which all methods have an accuracy, sorted."""
    names = {name for name, _ in acc}
    return sorted(name for name in names if all((name, m) in acc for m in METHODS))


def draw_critical_difference(records):
    """Draw the mean ranks of all methods."""
    acc = means(records, "acc", 0.0)
    sets = find_common(acc)
    figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    draw_ranks(ax, ranks(acc, sets, METHODS), len(sets))
    ax.set_title(f"Mean ranks by ACC over {len(sets)} sets", fontsize="small")
    return figure


def draw_accuracy_and_seconds(records):
    """Draw the mean accuracy of every method against its mean seconds."""
    found, sets = average(records)
    figure, ax = plt.subplots(figsize=(7.4, 4.2), layout="constrained")
    for method, (name, side) in OTHERS.items():
        low = found[method][1] < LEAST
        text = f"{name}: ACC {found[method][1]:.2f}" if low else name
        _mark(ax, found[method], text, side, color="0.45", marker="v" if low else "s")
    style = {"color": COLORS[0], "marker": "o"}
    _mark(ax, found["NeighborClustering"], "NeighborClustering", "left", **style)
    for method in NETWORKS:
        _mark(ax, found[method], "", "left", color=COLORS[1], marker="D")
    seconds, acc = np.transpose([found[method] for method in NETWORKS])
    names = [name.removesuffix("Clustering").removesuffix("Embedding") for name in NETWORKS]
    text = ", ".join(names[:3]) + ",\n" + ", ".join(names[3:])
    style = {"ha": "center", "color": COLORS[1], "fontsize": 9, "textcoords": "offset points"}
    ax.annotate(text, (seconds.mean(), acc.max()), (0, 10), **style)
    ax.set(xscale="log", xlabel="mean seconds of a fit, one thread", ylabel="mean accuracy (ACC)")
    ax.set(xlim=(0.2, max(20, 1.5 * seconds.max())), ylim=(LEAST - 0.01, 0.83))
    ax.set_xticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    ax.minorticks_off()
    ax.set_title(f"Means over {len(sets)} sets: {', '.join(sets)}", fontsize="small")
    ax.grid(alpha=0.3)
    return figure


def _mark(ax, place, text, side, color, marker):
    seconds, acc = place
    acc = max(acc, LEAST)
    ax.plot(seconds, acc, ls="", marker=marker, color=color, ms=8)
    style = {"va": "center", "ha": "left" if side == "right" else "right", "fontsize": 9}
    shift = (8 if side == "right" else -8, 0)
    ax.annotate(text, (seconds, acc), shift, textcoords="offset points", color=color, **style)


def main(argv=None):
    """Draw all pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder (%(default)s)")
    options = parser.parse_args(argv)
    records = read(RESULTS / "clusterers.jsonl")
    pictures = {
        "digits_drawn": draw_digits(),
        "number_of_clusters": draw_numbers_of_clusters(),
        "accuracy_and_seconds": draw_accuracy_and_seconds(records),
        "critical_difference": draw_critical_difference(records),
    }
    for name, figure in pictures.items():
        path = options.out / f"{name}.png"
        figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

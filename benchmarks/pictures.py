"""Pictures of the documentation, written to benchmarks/results.

Labels of classes are used only for the accuracies, which come from ``clusterers.jsonl``. Seconds
and memory by the number of samples come from ``speed_growth.jsonl``.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lib.methods import NETWORKS
from lib.records import read
from lib.tables import RESULTS, as_frame, by_set
from sklearn.datasets import load_digits

from skdeepcluster import DACClustering
from skdeepcluster.display import EmbeddingDisplay, SamplesDisplay

#: Methods of other libraries in the picture.
OTHERS = ["KMeans", "GaussianMixture", "Ward", "SpectralClustering", "HDBSCAN", "EVoC"]
OTHERS += ["umap-learn + GMM"]
#: Method that is emphasized.
FIRST = "NeighborClustering"
#: Methods whose name ends at their point; the names of the others begin there.
ENDING = "SpectralClustering", FIRST
#: Minimum accuracy that is drawn to scale; methods below it stand there, with their number.
MIN_ACC = 0.68
#: Minimum seconds and megabytes that are drawn, and the labels of their axes.
GROWTH = {
    "seconds": (0.01, "seconds of a fit with labels"),
    "memory": (1, "additional memory of a fit, MB"),
}


def draw_digits():
    """Draw generated digits of each cluster and the layout colored by cluster."""
    X = load_digits().data / 16
    clusterer = DACClustering(10, random_state=0).fit(X)
    letters = np.array(list("ABCDEFGHIJ"))  # numbers would be taken for digits
    style = {"figsize": (8, 3.9), "width_ratios": [1.1, 1], "layout": "constrained"}
    figure, axes = plt.subplots(1, 2, **style)
    drawn = np.concatenate([clusterer.sample(10, cluster=k) for k in range(10)])
    form = {"image_shape": (8, 8), "name": "digits that DACClustering generates"}
    SamplesDisplay(drawn, np.repeat(letters, 10), **form).plot(axes[0], vmin=0, vmax=1)
    labels, name = letters[clusterer.labels_], f"layout of the codes of {len(X):,} samples"
    codes = clusterer.transform(X)
    layout = EmbeddingDisplay(codes, labels, method="neighbors", name=name)
    layout.plot(axes[1], s=12).legend_.remove()
    return figure


def average(frame):
    """Return mean ACC and seconds by method over the sets that all methods have, and these."""
    methods = [*OTHERS, FIRST, *NETWORKS]
    acc, seconds = by_set(frame, "acc")[methods].dropna(), by_set(frame, "seconds")[methods]
    return acc.mean(), seconds.loc[acc.index].mean(), sorted(acc.index)


def draw_accuracy_and_seconds(frame):
    """Draw the mean accuracy of every method against its mean seconds."""
    acc, seconds, sets = average(frame)
    figure, ax = plt.subplots(figsize=(7.4, 4.2), layout="constrained")
    for method in [*OTHERS, FIRST]:
        side = "right" if method in ENDING else "left"
        low, is_ours = acc[method] < MIN_ACC, method not in OTHERS
        point, color = (seconds[method], max(acc[method], MIN_ACC)), "C0" if is_ours else "0.45"
        ax.plot(*point, "o" if is_ours else "v" if low else "s", color=color, ms=8)
        style = {"ha": side, "va": "center", "color": color, "fontsize": 9}
        text = f"{method}: ACC {acc[method]:.2f}" if low else method
        shift = (8 if side == "left" else -8, 0)
        ax.annotate(text, point, shift, textcoords="offset points", **style)
    networks = list(NETWORKS)
    ax.plot(seconds[networks], acc[networks], "D", color="C1", ms=8)
    names = [name.removesuffix("Clustering").removesuffix("Embedding") for name in networks]
    text = ", ".join(names[:3]) + ",\n" + ", ".join(names[3:])
    point = seconds[networks].mean(), acc[networks].max()
    style = {"ha": "center", "color": "C1", "fontsize": 9}
    ax.annotate(text, point, (0, 10), textcoords="offset points", **style)
    ax.set(xscale="log", xlabel="mean seconds of a fit, one thread", ylabel="mean accuracy (ACC)")
    ax.set(xlim=(0.2, max(20, 1.5 * seconds[networks].max())), ylim=(MIN_ACC - 0.01, 0.83))
    ax.set_xticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    ax.set_title(f"Means over {len(sets)} sets: {', '.join(sets)}", fontsize="small")
    ax.grid(alpha=0.3)
    return figure


def draw_growth(frame):
    """Draw seconds and memory over the number of samples."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 4.4), layout="constrained")
    for ax, (name, (least, label)) in zip(axes, GROWTH.items(), strict=True):
        found = frame.pivot_table(name, "n_samples", "row", sort=False).clip(lower=least)
        found.plot(ax=ax, loglog=True, marker="o", ms=5, legend=False, colormap="tab10")
        ax.lines[found.columns.get_loc(FIRST)].set(lw=3.5, ms=8, zorder=3)
        ax.set(xlabel="number of samples", ylabel=label)
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.yaxis.set_major_formatter("{x:,g}")
        ax.grid(alpha=0.3)
    figure.legend(axes[0].lines, found.columns, loc="outside lower center", ncols=3, frameon=False)
    return figure


def main(arguments=None):
    """Draw all pictures."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--out", type=Path, default=RESULTS, help="folder (%(default)s)")
    options = made.parse_args(arguments)
    frame = as_frame(read(RESULTS / "clusterers.jsonl"))
    pictures = {
        "digits_drawn": draw_digits(),
        "accuracy_and_seconds": draw_accuracy_and_seconds(frame),
        "speed_growth": draw_growth(as_frame(read(RESULTS / "speed_growth.jsonl"))),
    }
    for name, figure in pictures.items():
        path = options.out / f"{name}.png"
        figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

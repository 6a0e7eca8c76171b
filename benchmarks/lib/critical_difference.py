"""Mean ranks of methods over sets, and which of them differ: the diagram of Demsar.

Reference: J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7,
2006, section 3.2.2.
"""

import math

import numpy as np
from scipy.stats import studentized_range

ROW = 0.6  # height of a line of text, in units of the axis


def critical_difference(n_methods, n_sets, alpha=0.05):
    """Return the difference of mean ranks that is significant by the Nemenyi test."""
    quantile = studentized_range.ppf(1 - alpha, n_methods, np.inf) / math.sqrt(2)
    return quantile * math.sqrt(n_methods * (n_methods + 1) / (6 * n_sets))


def groups(ranks, difference):
    """Return the largest groups of methods that do not differ, as pairs of their outer ranks.

    ``ranks`` are sorted. Groups within another one are left out, and so are single methods.
    """
    found, reached = [], -1
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + difference, side="right")) - 1
        if last > max(first, reached):
            found.append((rank, ranks[last]))
            reached = last
    return found


def draw(ax, ranks, n_sets):
    """Draw the methods of a dict along an axis of mean ranks; bars join those that do not differ.

    The better half of the methods stands on the left, as 1 does.
    """
    names = sorted(ranks, key=ranks.get)
    values = [ranks[name] for name in names]
    difference = critical_difference(len(names), n_sets)
    low, high, half = 1, len(names), (len(names) + 1) // 2
    bars = groups(values, difference)
    depth = 0.35 * (len(bars) + 1)
    ax.hlines(0, low, high, color="black")
    for tick in range(low, high + 1):
        ax.vlines(tick, 0, 0.15, color="black")
        ax.text(tick, 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    for level, (first, last) in enumerate(bars, start=1):
        ax.hlines(-0.35 * level, first - 0.05, last + 0.05, color="black", lw=4)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        is_left = i < half
        y = -depth - ROW * (i + 1 if is_left else len(names) - i)
        end = low - 0.3 if is_left else high + 0.3
        ax.plot([value, value, end], [0, y, y], color="0.4", lw=0.9)
        text = f"{name}  {value:.1f}" if is_left else f"{value:.1f}  {name}"
        ax.text(end, y, f" {text} ", ha="right" if is_left else "left", va="center", fontsize=9)
    ax.hlines(1.2, low, low + difference, color="black", lw=2)
    ax.text(low, 1.35, f"critical difference {difference:.1f}", va="bottom", fontsize=9)
    ax.set(xlim=(low - 5, high + 5), ylim=(-depth - ROW * (half + 1), 2.2))
    ax.axis("off")

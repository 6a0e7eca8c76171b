"""Pages of HTML: their templates, and the places of samples in maps."""

from base64 import b64encode
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..display.base import COLORS
from ..neighbors import neighbor_graph, neighbor_layout

#: Maximum number of samples in the map of a page.
MAX_MAP = 1000
#: Names in the map, as shares of its width: line, mean letter, and distance from other clusters.
LINE = 0.04
LETTER = 0.021
CLEAR = 0.02
#: Directions from a sample in which a name is tried, and maximum number of these samples.
DIRECTIONS = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1)
N_TRIED = 30
#: Limits of the map: quantiles of the places, and air around them.
EDGE = 0.03
AIR = 0.2


def write_page(template, path=None, **values):
    """Return the page or the text that a template makes of values, and write it to a path."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("skdeepcluster")
    is_page = template.endswith(".html")
    pages = Environment(loader=loader, autoescape=is_page, trim_blocks=True)
    pages.filters["base64"] = lambda png: b64encode(png).decode()
    pages.globals["colors"] = COLORS
    page = pages.get_template(template).render(values)
    if path is not None:
        Path(path).write_text(page, encoding="utf-8")
    return page


def find_spots(samples, metric, rows=()):
    """Return position and place in a map of at most `MAX_MAP` samples, and of ``rows``."""
    spread = np.linspace(0, samples.shape[0] - 1, MAX_MAP).astype(int)
    rows = np.unique([*spread, *rows])

    graph = neighbor_graph(samples[rows], metric=metric)
    places = neighbor_layout(graph, 2, random_state=0)
    # Pages are wide.
    places = places[:, np.argsort(-np.ptp(places, axis=0))]
    # A few samples far away would leave no room for the others: they are drawn at the edge.
    low, high = np.quantile(places, (EDGE, 1 - EDGE), axis=0)
    air = AIR * (high - low)
    places = places.clip(low - air, high + air)
    places -= places.min(0)
    places /= np.ptp(places, axis=0).max() or 1.0
    return list(zip(rows.tolist(), places.round(3), strict=True))


def place_names(spots, labels, names):
    """Return the names of clusters in a map, each beside its own samples and away from others."""
    places = np.array([place for _, place in spots])
    owners = labels[[row for row, _ in spots]]
    ends = places.max(0)

    placed = []
    for k in np.unique(owners[owners >= 0]):
        name = str(names[k])
        half = np.array([LETTER * len(name), LINE]) / 2
        own = places[owners == k]
        beside = own[:: len(own) // N_TRIED + 1, None, None]
        middles = beside + DIRECTIONS * (half + CLEAR)
        # The frame is wider than the map.
        middles = middles.reshape(-1, 1, 2).clip(half - 0.04, ends + 0.04 - half)
        gaps = np.maximum(np.abs(middles - places) - half, 0)
        gaps = np.hypot(*np.moveaxis(gaps, -1, 0))

        own = gaps[:, owners == k]
        # Some samples of a cluster may lie among others.
        near = np.quantile(own, 0.25, axis=1)
        is_wrong = gaps[:, owners != k] < np.maximum(near, CLEAR)[:, None]
        cost = near + 0.5 * (own == 0).mean(1) + 0.02 * is_wrong.sum(1)
        for other in placed:
            apart = np.abs(middles[:, 0] - other.middle) - half - other.half
            cost += (apart < 0).all(1)
        x, y = middle = middles[cost.argmin(), 0]
        placed.append(Bunch(name=name, x=x, y=y, middle=middle, half=half))
    return placed

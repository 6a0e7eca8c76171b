"""Pages of HTML: their templates, and the places of samples in maps."""

from base64 import b64encode
from pathlib import Path

import numpy as np

from ..display.base import COLORS
from ..neighbors import neighbor_graph, neighbor_layout

#: Maximum number of samples in the map of a page.
MAX_MAP = 1000
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

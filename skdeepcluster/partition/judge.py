"""Expected scores of partitions, by a criterion learned on simulated data sets.

The expected score is the expected adjusted Rand index with the true clusters of the world that
made the data, which may be one. Trees predict it from :mod:`.features` of a partition
(``benchmarks/criterion.py`` simulates the data sets and fits the trees).

N samples, M judged ones (at most ``candidates.MERGED``), D features, C partitions, K clusters.
"""

from functools import cache, cached_property
from pathlib import Path

import numpy as np
from scipy.special import expit

from .candidates import find_candidates
from .features import compare, make_family, prepare, relate
from .views import MERGED

#: Numbers of clusters whose families tell whether there is one cluster.
ONE_NUMBERS = 2, 3, 4, 6, 9
#: Features of the best members of these families.
ONE_FEATURES = (
    "points valley",
    "layout valley",
    "layout silhouette",
    "points full bic",
    "reach gap",
    "density",
    "linear",
    "remembered 64",
    "agreement",
    "mean agreement",
)
#: Minimum number of samples in a cluster where numbers of clusters are compared.
LEAST_SIZE = 5


# ---- the criterion


@cache
def load_criterion():
    """Return the arrays of the criterion, by name.

    The score is the sum of regression trees, whose T nodes are numbered together. "roots" are the
    positions of the roots. "feature" (T,) is compared with "threshold" (T,). "left" and "right"
    (T,) are the steps to the children, 0 at a leaf. "value" (T,) is set for leaves. "base" is the
    score without trees, and "depth" the maximum number of comparisons.
    """
    path = Path(__file__).with_name("criterion.npz")
    with np.load(path) as arrays:
        return dict(arrays)


def add_trees(features, purpose):
    """Return the sums (C,) of the trees "score", "layout" or "one" for features (C, F)."""
    rows = np.arange(len(features))[:, None]

    def read(name):
        return load_criterion()[f"{purpose} {name}"]

    nodes = read("roots")
    for _ in range(read("depth")):
        values = features[rows, read("feature")[nodes]]
        goes_left = values <= read("threshold")[nodes]
        nodes = nodes + np.where(goes_left, read("left")[nodes], read("right")[nodes])
    return read("base") + read("value")[nodes].sum(1, dtype=np.float64)


# ---- the judge


class Judge:
    """Expected scores of partitions of one data set.

    A partition is compared with the family of candidates with as many clusters, which the layout
    alone determines: its score does not depend on where it comes from.
    """

    def __init__(self, views, n_features):
        #: Positions (M,) of the judged samples.
        self.drawn = views.draw(MERGED)
        self.views = views.take(self.drawn)
        #: :class:`~.features.Family` by number of clusters.
        self.families = {}
        self._sizes = n_features, len(views.wide)
        # Coordinates that are a layout tell less than features.
        self._trees = "score" if views.has_features else "layout"

    @cached_property
    def judged(self):
        """What :func:`~.features.prepare` measures."""
        return prepare(self.views, *self._sizes)

    def find_family(self, n_clusters):
        """Return the :class:`~.features.Family` of a number of clusters."""
        if n_clusters not in self.families:
            stream = np.random.RandomState(n_clusters)
            found = find_candidates(self.views, n_clusters, stream, brief=True)
            family = make_family(self.judged, list(found), n_clusters)
            self.families[n_clusters] = family
        return self.families[n_clusters]

    def compare(self, labels, n_clusters):
        """Return the features (C, F) of partitions of the judged samples, (C, M)."""
        family = self.find_family(n_clusters)
        return compare(self.judged, labels, n_clusters, family)

    def relate_family(self, n_clusters):
        """Return the features (R, F) of the members of a family, and their names."""
        family = self.find_family(n_clusters)
        return relate(self.judged, family.values, n_clusters, family)

    def rate_features(self, features):
        """Return the expected scores (C,) for features (C, F)."""
        return add_trees(features, self._trees).clip(0, 1)

    def rate_family(self, n_clusters):
        """Return the expected scores (R,) of the members of a family."""
        return self.rate_features(self.relate_family(n_clusters)[0])

    def rate(self, labels):
        """Return the expected scores (C,) of partitions of the judged samples, (C, M)."""
        scores = np.zeros(len(labels))
        places = [np.unique(own, return_inverse=True)[1] for own in labels]
        counts = np.array([own.max() + 1 for own in places])
        for k in np.unique(counts):
            is_own = counts == k
            own = np.array(places)[is_own]
            if k == 1:
                scores[is_own] = self.rate_one()
            elif k < len(self.drawn):
                features, _ = self.compare(own, k)
                scores[is_own] = self.rate_features(features)
        return scores

    def rate_one(self):
        """Return the expected score of a single cluster: the probability that it is true."""
        families = self.list_one_families()
        if not families:
            return 1.0
        features = describe_one(self.judged.data, families, self.rate_features)
        return float(expit(add_trees(features[None], "one"))[0])

    def list_one_families(self):
        """Return :meth:`relate_family` of ONE_NUMBERS, except numbers with too few samples."""
        most = len(self.drawn) // LEAST_SIZE
        return {k: self.relate_family(k) for k in ONE_NUMBERS if k <= most}


def describe_one(data, families, rate):
    """Return the features (F,) that tell whether there is one cluster.

    ``data`` are features of the data set by name, and ``families`` what
    :meth:`Judge.list_one_families` returns. ``rate`` is a function of features (R, F) that returns
    expected scores (R,).
    """
    found = [*data.values()]
    for k in ONE_NUMBERS:
        if k not in families:
            found += [0.0] * (1 + len(ONE_FEATURES))
            continue
        features, names = families[k]
        scores = rate(features)
        best = dict(zip(names, features[scores.argmax()], strict=True))
        found += [scores.max(), *(best[name] for name in ONE_FEATURES)]
    return np.array(found, dtype=np.float32)

"""Parameters of estimators: constraints, numbers of clusters; and what a fit leaves."""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..utils.random import random_stream

#: Constraints of parameters of estimators.
AUTO = StrOptions({"auto"})
COUNT = Interval(Integral, 1, None, closed="left")
FRACTION = Interval(Real, 0, 1, closed="left")
WEIGHT = Interval(Real, 0, None, closed="left")
#: Constraint of ``n_clusters`` where it may be found.
N_CLUSTERS = [COUNT, AUTO, tuple, range]
#: Largest number of clusters that "auto" tries.
MAX_CLUSTERS = 60


def check_count(name, value):
    """Return a whole number as int, checked to be at least 1."""
    return int(check_scalar(value, name, Integral, min_val=1))


def read_image_shape(image_shape, n_features=None):
    """Return (channels, height, width) of (height, width) or of all three, checked."""
    shape = image_shape if isinstance(image_shape, tuple | list) else ()
    shape = (1, *shape) if len(shape) == 2 else tuple(shape)
    is_whole = all(isinstance(n, Integral) and n > 0 for n in shape)
    if len(shape) != 3 or not is_whole:
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width), such as "
            f"(1, 28, 28), got {image_shape!r}."
        )
    if n_features not in (None, math.prod(shape)):
        raise ValueError(
            f"X has {n_features} features, but images of shape {shape} have "
            f"{math.prod(shape)}."
        )
    return shape


# ---- numbers of clusters


class ClusterNumbers(NamedTuple):
    """Numbers of clusters to choose from, or the one that is given."""

    #: A range, any number of which may be chosen, or a list.
    numbers: Any
    is_given: bool = False
    is_auto: bool = False

    @property
    def given(self):
        """The number that is given."""
        return self.numbers[0]

    @property
    def lowest(self):
        """The lowest number."""
        return min(self.numbers)

    @property
    def is_range(self):
        """Whether any number between two may be chosen."""
        return isinstance(self.numbers, range)

    @property
    def tried(self):
        """The numbers that are tried first: of a range up to 4, then in steps of half."""
        if not self.is_range:
            return list(self.numbers)
        lowest = self.numbers[0]
        highest = self.numbers[-1]
        steps = [1, 2, 3, 4]
        while steps[-1] < highest:
            steps.append(3 * steps[-1] // 2)
        between = {number for number in steps if lowest < number < highest}
        return sorted(between | {lowest, highest})


def read_n_clusters(n_clusters):
    """Return the :class:`ClusterNumbers` of a parameter ``n_clusters``, checked."""
    if isinstance(n_clusters, Integral):
        return ClusterNumbers([int(n_clusters)], is_given=True)
    if isinstance(n_clusters, str) and n_clusters == "auto":
        return ClusterNumbers(range(1, MAX_CLUSTERS + 1), is_auto=True)
    numbers = list(n_clusters) if isinstance(n_clusters, Iterable) else []
    is_sound = all(isinstance(k, Integral) and k >= 1 for k in numbers)
    if isinstance(n_clusters, tuple) and len(numbers) == 2 and is_sound:
        low, high = numbers
        if low <= high:
            return ClusterNumbers(range(low, high + 1))
    elif numbers and is_sound and not isinstance(n_clusters, tuple):
        return ClusterNumbers(list(dict.fromkeys(map(int, numbers))))
    raise ValueError(
        "n_clusters must be a number, 'auto', or the lowest and the highest number, such as "
        f"(5, 20), got {n_clusters!r}."
    )


# ---- parameters and fitted attributes


def store_parameters(parameters):
    """Set the parameters of an ``__init__``, its ``locals()``, as attributes."""
    values = dict(parameters)
    vars(values.pop("self")).update(values)


def with_plain_numbers(estimator):
    """Return the estimator, or a copy whose parameters are Python's numbers instead of numpy's.

    Small integers of numpy overflow.
    """
    plain = {
        name: value.item()
        for name, value in vars(estimator).items()
        if isinstance(value, np.generic)
    }
    if not plain:
        return estimator
    plain_estimator = copy_shallowly(estimator)
    vars(plain_estimator).update(plain)
    return plain_estimator


def copy_shallowly(estimator):
    """Return an estimator with the same attributes; ``copy.copy`` would pickle a model."""
    copied = type(estimator).__new__(type(estimator))
    vars(copied).update(vars(estimator))
    return copied


def forget_missing(estimator, *names):
    """Remove the attributes that a fit has set to None: it has none."""
    for name in names:
        if vars(estimator)[name] is None:
            delattr(estimator, name)


# ---- samples to generate


def begin_sample(estimator, n_samples, cluster=None):
    """Return the number of samples to generate, checked, and their random numbers."""
    check_is_fitted(estimator)
    n_samples = check_count("n_samples", n_samples)
    if cluster is not None:
        last = estimator.n_clusters_ - 1
        check_scalar(cluster, "cluster", Integral, min_val=0, max_val=last)
    return n_samples, random_stream(estimator.random_state)

"""Random generators and seeds."""

import numpy as np
from sklearn.utils import check_random_state


def random_stream(random_state):
    """Return ``check_random_state(random_state)``, except a new generator for None."""
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def draw_seed(random_state):
    """Draw a seed from a generator of numpy."""
    return int(random_state.randint(np.iinfo(np.int32).max))


def draw_seeds(estimator, random_state):
    """Draw a seed for every ``random_state`` among the parameters of an estimator."""
    return {
        name: draw_seed(random_state)
        for name in estimator.get_params()
        if name.split("__")[-1] == "random_state"
    }


def sample_systematically(weight, n_drawn, offset):
    """Return sorted indices (n_drawn,) of samples, chosen in proportion to their weights (N,).

    ``offset``, between 0 and 1, is the position of the first one.
    """
    ends = np.cumsum(weight)
    places = (offset + np.arange(n_drawn)) / n_drawn * ends[-1]
    index = np.searchsorted(ends, places, side="right")
    return index.clip(max=np.flatnonzero(weight)[-1])

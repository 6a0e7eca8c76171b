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

"""Few labels of many rows."""

import numpy as np

TRAINING = 60_000  # images of MNIST before its test images


def labelled(y, per_class, draw):
    """Labels of so many rows of each class, -1 for the others; all labels for 0."""
    if not per_class:
        return y.astype(int)
    stream, some = np.random.RandomState(draw), np.full(len(y), -1)
    for k in np.unique(y):
        some[stream.choice(np.flatnonzero(y == k), per_class, replace=False)] = k
    return some

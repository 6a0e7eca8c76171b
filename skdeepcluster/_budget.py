"""What "auto" means for the widths of networks, their learning rate, and numbers of steps.

Every rule is a smooth function of the shape of X. It has the papers' values at 70,000 rows of 784
features, the shape of MNIST.
"""

from dataclasses import dataclass
from math import ceil, sqrt

from .engine.data import count_batches

#: Rows of MNIST.
ROWS = 70_000
#: Features of MNIST.
FEATURES = 784
#: Width of the first hidden layer in the papers, for MNIST.
WIDTH = 500
#: Width of the third hidden layer, in widths of the first.
THIRD = 4
#: Least width of a hidden layer.
LEAST_WIDTH = 128
#: Bounds of the rows in a step.
BATCH_SIZES = 32, 256


def choose_widths(n_samples, n_features):
    """Return the widths of the hidden layers for (N, D) rows.

    The weights of a layer are as many as the product of two widths: in proportion to D and to the
    square root of N, up to those of MNIST.
    """
    share = sqrt(min(n_features / FEATURES, 1.0)) * min(n_samples / ROWS, 1.0) ** 0.25
    width = max(round(WIDTH * share), LEAST_WIDTH)
    return width, width, THIRD * width


@dataclass(frozen=True)
class Budget:
    """Numbers of steps, in units of sqrt(N), of rows in a step, and the learning rate."""

    #: Peak of the learning rate of a network whose first hidden layer has the papers' width.
    rate: float
    #: Steps of training.
    steps: float
    #: Steps of pretraining.
    pretraining_steps: float = 6.0
    #: Time of a step of training, in those of pretraining with as many rows.
    cost: float = 1.0
    #: Whether the unit of the steps of training is the number of clusters where this is larger
    #: than sqrt(N): networks without a mixture of codes learn each cluster from nothing.
    counts_clusters: bool = False

    def batch_size(self, n_samples):
        """Return the rows in a step: sqrt(N), within ``BATCH_SIZES``."""
        least, most = BATCH_SIZES
        return min(max(round(sqrt(n_samples)), least), most)

    def learning_rate(self, widths):
        """Return the peak of the learning rate, in inverse proportion to the width.

        So the outputs of a network change by as much in a step whatever its width (G. Yang, E. J.
        Hu et al., "Tensor programs V", NeurIPS 2021). Below ``LEAST_WIDTH`` it grows no further.
        """
        return self.rate * WIDTH / max(widths[0], LEAST_WIDTH) if widths else self.rate

    def epochs(self, n_samples, batch_size, n_clusters=1):
        """Return the epochs of training."""
        unit = max(sqrt(n_samples), n_clusters if self.counts_clusters else 1)
        return _count_epochs(self.steps * unit, n_samples, batch_size)

    def pretraining_epochs(self, n_samples, batch_size):
        """Return the epochs of the auto-encoder."""
        return _count_epochs(self.pretraining_steps * sqrt(n_samples), n_samples, batch_size)


def _count_epochs(n_steps, n_samples, batch_size):
    return max(1, ceil(n_steps / count_batches(n_samples, batch_size)))

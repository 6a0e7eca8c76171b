"""The control of VaDE: a plain classifier trained on the start of a fit."""

import torch
from torch import nn

from .internals import (
    Game,
    Player,
    Regularizer,
    Rows,
    batch_size,
    forked,
    generator,
    mlp,
    predict_clusters,
    train,
)


class Classifier(Game):
    """p(c|x) by a perceptron, with VaDE's terms "start" and "smoothness" and nothing else."""

    def __init__(self, network, likelihood, regularizer):
        super().__init__()
        self.network, self.likelihood, self.regularizer = network, likelihood, regularizer

    def log_resp(self, x):
        """Log-probabilities of the clusters."""
        return self.log_resp_standardized(self.likelihood.standardize(x))

    def log_resp_standardized(self, seen):
        """Log-probabilities of standardised rows."""
        return self.network(seen).log_softmax(-1)

    def loss(self, batch):
        """Cross-entropy to the start, and smoothness."""
        seen = self.likelihood.standardize(batch.x)
        return self.regularizer.terms(self.log_resp_standardized, seen, batch.anchor)

    def players(self):
        """One player."""
        return (Player("classifier", [self.network], self.loss),)


def control(vade, X, seed):
    """Labels of a classifier trained on the start of a fitted VaDE, for as many epochs."""
    n_clusters = vade.n_clusters
    with forked(seed):
        network = mlp(X.shape[1], n_clusters, vade.hidden_layer_sizes_)
        model = Classifier(network, vade.model_.likelihood, Regularizer(1.0, 1.0))
        start = nn.functional.one_hot(torch.as_tensor(vade.start_labels_), n_clusters)
        train(
            model,
            Rows(X, anchor=start.float().numpy()),
            max_epochs=vade.n_iter_,
            batch_size=batch_size(vade, X.shape[0]),
            learning_rate=vade.learning_rate_,
            generator=generator(seed),
            bfloat16=vade.precision == "bfloat16",
        )
    return predict_clusters(model, X)

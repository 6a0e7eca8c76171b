"""The control of all networks: a plain classifier trained on the start of a fit."""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

#: Epochs of the control: CatGAN's, in batches of the square root of the number of rows.
CONTROL_EPOCHS = 12


def predict_by_plain_classifier(fit, X, seed):
    """Return the labels that scikit-learn's MLPClassifier predicts after training on a start.

    It learns the clusters of the start by cross-entropy alone, with two hidden layers of the
    network's width, in as many steps as CatGAN makes.
    """
    rows = fit._map("standardize", X)
    classifier = MLPClassifier(
        fit.hidden_layer_sizes_[:2],
        batch_size=min(fit.batch_size_, len(rows)),
        max_iter=CONTROL_EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many steps as the network's
        return classifier.fit(rows, fit.start_labels_).predict(rows)

"""What the clusterer and the classifier by a categorical GAN share, besides the model."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._estimator import DeepEstimator
from ._mixins import InformationMixin
from ._start import PartitionMixin
from .engine.randomness import random_stream
from .modules.gan_networks import normalised_mlp
from .modules.start import Keep


class CatGANEstimator(InformationMixin, PartitionMixin, DeepEstimator):
    """Builds and completes the model, and draws rows from it."""

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **PartitionMixin._parameter_constraints,
        "n_noise": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "balance_weight": [Interval(Real, 0, None, closed="left")],
        "fake_weight": [Interval(Real, 0, None, closed="left")],
        "class_prior": [StrOptions({"estimated"}), "array-like", None],
        "marginal_decay": [Interval(Real, 0, 1, closed="left")],
    }

    STEPS = 12.0

    def _perceptron(self, role, n_in, n_out, widths):
        if role == "discriminator":
            return normalised_mlp(n_in, n_out, widths[:2], self.activation, self.noise)
        return normalised_mlp(n_in, n_out, widths[1::-1], self.activation)

    def _model(self, kind, n_features, n_classes, likelihood, **further):
        """Build a CatGAN of a kind, with the networks and weights asked for."""
        model = kind(
            self._network("discriminator", n_features, n_classes),
            self._network("generator", self.n_noise, n_features),
            likelihood,
            n_classes,
            self.n_noise,
            weights=(self.balance_weight, self.fake_weight),
            keep=Keep(self.start_weight, self.smoothness_weight),
            marginal_decay=self.marginal_decay,
            **further,
        )
        self._set_given_prior(model, n_classes)
        return model

    def _set_given_prior(self, model, n_classes):
        if not (self.class_prior is None or isinstance(self.class_prior, str)):
            model.set_prior(_checked_prior(self.class_prior, n_classes))

    def _complete(self, model, tensors):
        model.log_prior = tensors.get("log_prior")

    def _prepare(self, model, X, random_state, is_new):
        prepared = super()._prepare(model, X, random_state, is_new)
        if not (is_new or isinstance(self.class_prior, str)):
            model.log_prior = None
            self._set_given_prior(model, len(model.log_marginal))
        if isinstance(self.class_prior, str) and is_new:
            if not prepared.rows.columns:
                raise ValueError(
                    "class_prior='estimated' takes the prior from a start, but init=None has "
                    "none. Give the prior as an array, or choose another init."
                )
            share = prepared.rows.columns[0].mean(0, dtype=np.float64)
            model.set_prior(np.maximum(share, 0.5 / X.shape[0]))
        return prepared

    def sample(self, n_samples=1):
        """Draw rows from the generator.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the training data. An int ``random_state`` draws the same rows on
            every call.
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=1)
        stream = random_stream(self.random_state)
        Z = stream.standard_normal((n_samples, self.model_.n_noise)).astype(np.float32)
        return self._answers(self.model_, self.model_.decode, Z)


def _checked_prior(prior, n_classes):
    prior = np.asarray(prior, dtype=np.float64)
    if prior.shape != (n_classes,) or not (np.isfinite(prior).all() and (prior > 0).all()):
        raise ValueError(
            f"class_prior must be {n_classes} positive numbers, one for each class, got {prior}."
        )
    return prior

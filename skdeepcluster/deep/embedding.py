"""Estimators whose models encode samples and decode codes, which may have a learned prior."""

from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import check_is_fitted

from ..functional.points import confident_sample
from ..input.checks import COUNT, begin_sample
from ..input.columns import KINDS
from ..input.types import Auto, Floats, Reals, TransformerMixin
from ..nn.networks import make_network, mlp
from ..nn.runtime import draw_generator, isolated
from .base import DeepClusterer, DeepEstimator
from .codes import CodeModel
from .fit import apply
from .start import CONSTRAINTS, mixture_of_partition, partition_codes

#: Constraints of the parameters of estimators with an encoder and a decoder.
CODERS = {
    "n_components": [COUNT],
    "kinds": KINDS,
    "encoder": [callable, None],
    "decoder": [callable, None],
}


class EmbeddingMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """``transform`` by the model's ``encode`` and ``inverse_transform`` by its ``decode``."""

    def transform(self, X) -> Floats:
        """Codes of the samples: E(x) of DACClustering, else the means of q(z | x).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to encode.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), float32
            For InfoGANClustering, Q's posterior of all codes: probabilities of the clusters and of
            the other categories, then means of the continuous codes.
        """
        return self._map("encode", X)

    def inverse_transform(self, X) -> Reals:
        """Decode codes: E[x | z], in the units of the training data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, for instance from :meth:`transform`, or points between them.

        Returns
        -------
        X_original : ndarray or DataFrame of shape (n_samples, n_features)
            With the most probable categories. For InfoGANClustering with all noise variables at
            zero.
        """
        check_is_fitted(self)
        Z = check_array(X, dtype=np.float32, input_name="X")
        if Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Codes must have shape (n_samples, {self._n_features_out}), got {Z.shape}. Pass "
                "what transform() returns."
            )
        return self._decode(Z)

    def _decode(self, Z, random_state=None):
        """Return E[x | z] of codes (N, L), float32, or draws of tables by a RandomState."""
        X = apply(self.model_, self.model_.decode, Z)
        if random_state is not None and self.preparation_.is_table:
            std = apply(self.model_, self.model_.likelihood.deviation, X)
            X = X + std * random_state.standard_normal(X.shape)
        return self.preparation_.decode(X, random_state)

    def _make_network(self, role, n_in, n_out, widths, image_shape=None):
        """Return the encoder, decoder or discriminator, by default a perceptron."""
        default = partial(mlp, hidden_layer_sizes=widths, activation=self.activation)
        builder = vars(self)[role]
        return make_network(role, builder, n_in, n_out, default, image_shape)

    def _has_perceptrons(self):
        """Return whether encoder and decoder are the default perceptrons."""
        return self.encoder is self.decoder is self.image_shape is None

    def _make_coders(self, n_features, n_outputs, widths):
        """Return encoder (N, D) -> (N, n_outputs) and decoder (N, L) -> (N, D)."""
        image = self.image_shape
        encoder = self._make_network("encoder", n_features, n_outputs, widths, image)
        sizes = self.n_components, n_features
        return encoder, self._make_network("decoder", *sizes, widths[::-1], image)

    @property
    def _n_features_out(self):
        return self._fit_params["n_components"]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class PriorEstimator(EmbeddingMixin, DeepClusterer):
    """An estimator that trains a :class:`~skdeepcluster.deep.codes.PriorModel`.

    Its networks are pretrained as an autoencoder, and training begins with a mixture of the codes.
    """

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **DeepClusterer._parameter_constraints,
        **CONSTRAINTS,
        **CODERS,
    }

    def _before(self, model, fit):
        """Pretrain the networks of a new model, and set its mixture.

        It is the M-step on the pretrained codes. With ``init="own"`` they are clustered first, and
        training is not regularized toward these clusters.
        """
        networks = model.encoder, model.decoder
        fit.pretrain(*networks, model.likelihood, self._has_perceptrons())
        codes, variances = np.split(
            apply(model, model.mean_and_variance, fit.X), 2, axis=1
        )
        fit.progress.begin("mixture")
        start = fit.start
        resp = start.anchor
        if resp is None:
            # Clusters that no anchor keeps are lost at the prior's own, larger rate.
            model.rates = CodeModel.rates
            resp = partition_codes(codes, start.n_clusters, fit.random_state)
            start = start._replace(labels=resp.argmax(1))
        model.prior.set(mixture_of_partition(codes, resp, variances=variances))
        return start

    def sample(
        self,
        n_samples: int = 1,
        cluster: int | None = None,
        *,
        min_confidence: float | Auto = "auto",
    ) -> Reals:
        """Draw codes from the mixture, or from one of its clusters, and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Cluster to draw from. None: all clusters, in proportion to their weights.
        min_confidence : float or "auto", default="auto"
            Minimum probability p(c | z) of a code's own cluster; 0.999 in the paper's figures, 0
            for draws from the unrestricted mixture. "auto" is 0.9 times the probability at the
            mean of the cluster. Codes still below the minimum after several draws are moved
            toward the mean of their cluster.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            E[x|z] of the codes, in the units of X. Tables with amounts, codes, flags or categories
            are draws from p(x|z): categories by their probabilities, numbers with the learned
            noise, in the range and with the decimals of X. An int ``random_state`` gives the same
            samples on every call.

        Raises
        ------
        ValueError
            If even the mean of a cluster falls short of ``min_confidence``.
        """
        n_samples, stream = begin_sample(self, n_samples)
        least = None
        if min_confidence != "auto":
            bounds = {"min_val": 0, "max_val": 1}
            least = check_scalar(min_confidence, "min_confidence", Real, **bounds)
        Z = draw_codes(self.model_.prior, n_samples, cluster, least, stream)
        return self._decode(Z, stream)


def draw_codes(prior, n_samples, cluster, confidence, random_state):
    """Return codes (N, L), float32, of a cluster of a mixture, or of all (None)."""
    with isolated(), torch.no_grad():
        mixture = prior.mixture.to("cpu")
        weights = mixture.log_weights.exp().double().numpy()
        if cluster is None:
            counts = random_state.multinomial(n_samples, weights / weights.sum())
        else:
            last = len(weights) - 1
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=last)
            counts = n_samples * np.eye(last + 1, dtype=int)[cluster]
        counts = torch.as_tensor(counts, device="cpu")
        generator = draw_generator(random_state)
        Z = confident_sample(mixture, counts, confidence, generator)
    return Z.float().numpy()[random_state.permutation(n_samples)]

"""DACClustering: deep adversarial Gaussian mixture autoencoder (Harchaoui et al., 2017).

In the paper's notation, E, G and A are ``encoder``, ``decoder`` and ``critic``, z is ``code``, and
pi, mu_k and Sigma_k, here diagonal, ``prior.mixture``.
"""

from typing import Any

import numpy as np
import torch

from .deep.base import (
    ClusteringMixin,
    DeepEstimator,
    EmbeddingMixin,
    sample_prior,
)
from .deep.codes import CodeModel, MixturePrior, PointEncoder
from .deep.fit import Recipe
from .functional.gaussian import log_joint
from .functional.losses import called_fake, called_real
from .input.checks import warn_user
from .input.parameters import store_parameters
from .input.types import Auto, Doubles, Widths
from .nn.model import OptimizerGroup, regularize
from .nn.networks import mlp

#: Minimum variance of the mixture, relative to its initial mean variance.
FLOOR = 0.01
#: Factor of the smoothness of DAC by itself.
OWN_FACTOR = 4.0
#: Separation of the mixture's components below which a fit warns.
MIN_SEPARATION = 0.1


class DAC(CodeModel):
    """Deep adversarial Gaussian mixture autoencoder.

    Parameters
    ----------
    encoder : PointEncoder, (N, D) -> (N, L)
    decoder, likelihood, regularizer
        As in :class:`~skdeepcluster.deep.codes.CodeModel`.
    prior : MixturePrior
    critic : Module, (N, L) -> (N, 1)
        Takes codes that are standardized by the mixture.
    mixture_weight : float
        Weight of the log-likelihood of the codes under the mixture, in the autoencoder's loss.
    """

    rates = CodeModel.rates | {"prior.*": 10.0}

    def __init__(
        self, encoder, decoder, likelihood, regularizer, prior, critic, mixture_weight
    ):
        super().__init__(encoder, decoder, likelihood, regularizer)
        self.prior = prior
        self.critic = critic
        self.mixture_weight = mixture_weight

    def set_mixture(self, mixture):
        """Begin with a mixture of codes."""
        self.prior.set_mixture(mixture)

    def log_resp_standardized(self, x_std):
        """Log p(k | E(x)), (N, K), by the mixture."""
        mixture = self.prior.mixture
        return self.log_joint(self.encoder(x_std), mixture).log_softmax(-1)

    def log_joint(self, code, mixture):
        """Log p(E(x), k), (N, K)."""
        return log_joint(code, mixture)

    def score(self, x):
        """Log p(x | G(z)) + log p(z) at z = E(x), (N,)."""
        code = self.encode(x)
        log_z = log_joint(code, self.prior.mixture).logsumexp(-1)
        return self.log_prob(x, code).double() + log_z.double()

    def critic_loss(self, batch):
        """Cross-entropies of telling samples of the mixture ("real") from codes ("fake")."""
        with torch.no_grad():
            mixture = self.prior.mixture
            code = self.encode(batch.x)
            sampled = self.prior.draw(mixture, len(batch.x))
        real, fake = self.judge(torch.cat([sampled, code]), mixture).chunk(2)
        return {"mixture": called_real(real), "codes": called_fake(fake)}

    def judge(self, code, mixture):
        """Logits of "sampled from the mixture", (N, 1)."""
        return self.critic(self.prior.whiten(mixture, code))

    def mixture_loss(self, batch):
        """Negative log-likelihood of the codes, without gradient to the encoder."""
        with torch.no_grad():
            code = self.encode(batch.x)
        return {"codes": -log_joint(code, self.prior.mixture).logsumexp(-1).mean()}

    def loss(self, batch):
        """Three losses, and the terms of the regularizer."""
        x_std = self.standardize(batch.x)
        mixture = self.prior.mixture
        code = self.encoder(x_std)
        joint = self.log_joint(code, mixture)
        log_code = joint.logsumexp(-1)

        terms = {
            "reconstruction": -self.log_prob(batch.x, code).mean(),
            "mixture": -self.mixture_weight * log_code.mean(),
            "adversarial": called_real(self.judge(code, mixture)),
        }
        return terms | regularize(self, batch, x_std, joint.log_softmax(-1))

    def optimizer_groups(self):
        """Critic, mixture (fitted to the codes), autoencoder."""
        autoencoder = [self.encoder, self.decoder, self.likelihood]
        return (
            OptimizerGroup("critic", [self.critic], self.critic_loss),
            OptimizerGroup("mixture", [self.prior], self.mixture_loss),
            OptimizerGroup("autoencoder", autoencoder, self.loss),
        )


class DACClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    r"""Autoencoder whose codes follow a Gaussian mixture, by an adversary (DAC).

    It adds to an initial partition codes without noise, and samples from each cluster. The
    networks are pretrained as an autoencoder, and then trained together with the mixture and an
    adversary that tells codes from samples of the mixture.

    Parameters
    ----------
    mixture_weight : float
        Weight of the codes' negative log-likelihood by the mixture, in the encoder's loss.
    learning_rate : float or "auto"
        Peak of the one-cycle schedule of AdamW; ten times as large for the prior. "auto":
        ``5e-4 * 500 / w`` with w the width of the first hidden layer.
    encoder : callable
        ``encoder(n_in, n_out)`` returns the encoder, ``n_out = n_components``. None: a multilayer
        perceptron.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Weights of the mixture.
    means_, covariances_ : ndarray of shape (n_clusters, n_components)
        Means and variances of the mixture.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Decoded means.
    model_ : DAC
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        "autoencoder_reconstruction", "autoencoder_mixture", "autoencoder_adversarial",
        "autoencoder_initial", "autoencoder_smoothness", "autoencoder_information",
        "critic_mixture", "critic_codes" and "mixture_codes".

    See Also
    --------
    VaDEClustering : The variational relative.
    ClusterEnsemble : Consensus of several fits (DAC EC in the paper).

    Notes
    -----
    Encoder E and decoder G minimize the weighted sum of [1]_

    .. math::

        -E_x \log p(x | G(E(x))), \quad -E_x \log \sum_k \pi_k N(E(x); \mu_k, \Sigma_k), \quad
        E_x \mathrm{softplus}(-A(E(x)));

    the mixture maximizes the likelihood of the codes, and the critic A learns to tell samples of
    the mixture from codes. Variances of the mixture stay above a hundredth of their initial mean,
    because codes and mixture would otherwise collapse to points.

    By default training begins with the partition of :class:`NeighborClustering`, and two terms,
    additions of this package, keep it: few labels change. With ``init="own"`` training begins with
    a mixture of the codes, and maximizes also the mutual information between samples and clusters
    [4]_; ``init="own", smoothness_weight=0`` is the published way.

    ``score`` is the mean of log p(x | G(z)) + log p(z) at z = E(x), which depends on the scale of
    the codes.

    References
    ----------
    .. [1] W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
       Auto-Encoder for Clustering", ICLR workshop 2017.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.
    .. [3] K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
       and Adversarial Attacks", NeurIPS 2018.
    .. [4] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import DACClustering
    >>> X = load_iris().data
    >>> dac = DACClustering(3, n_components=2, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> dac.predict_proba(X).shape
    (150, 3)
    >>> X_new, y_new = dac.sample(5, cluster=1)
    >>> X_new.shape
    (5, 4)
    """

    _recipe = Recipe(rate=5e-4, steps=6, pretrains=True)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_components=10,
        hidden_layer_sizes: Widths = "auto",
        activation="relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        kinds: Any = "auto",
        mixture_weight=1.0,
        init: Any = "neighbors",
        contamination=0.0,
        use_labels=False,
        init_weight=50.0,
        smoothness_weight=50.0,
        pretraining_epochs: int | Auto = "auto",
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        image_shape=None,
        encoder=None,
        decoder=None,
        batch_size: int | Auto = "auto",
        n_init=1,
        augment=None,
        callbacks=None,
        device: Any = "auto",
        verbose=0,
        random_state=None,
    ) -> None:
        store_parameters(locals())

    def _build(self, n_features, n_clusters, widths, likelihood):
        n_codes = self.n_components
        encoder, decoder = self._make_coders(n_features, n_codes, widths)
        return DAC(
            PointEncoder(encoder),
            decoder,
            likelihood,
            self._make_regularizer(own_factor=OWN_FACTOR),
            MixturePrior(n_clusters, n_codes, FLOOR),
            mlp(n_codes, 1, widths[:2], self.activation),
            self.mixture_weight,
        )

    def _train(self, model, training):
        return training.train_from_mixture(model)

    def _describe(self, model, training):
        self._describe_prior(model)
        separation = model.prior.separation()
        # A single cluster has its own warning.
        if separation < MIN_SEPARATION and np.ptp(self.labels_[self.labels_ >= 0]):
            warn_user(
                "Clusters overlap in the codes: the means of the mixture make up at most "
                f"{separation:.1%} of the variance of a code. Lower max_epochs or "
                "mixture_weight, or raise init_weight."
            )

    # ---- predictions

    def score_samples(self, X) -> Doubles:
        """Return log p(x | G(z)) + log p(z) at z = E(x), in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            In the units of X.
        """
        return self._map("score", X)

    sample = sample_prior

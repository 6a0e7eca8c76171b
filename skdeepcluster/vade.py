"""VaDEClustering: variational deep embedding (Jiang et al., 2017).

In the paper's notation, mu~ and sigma~ are ``mean, std = encoder(x)``, pi, mu_c and sigma_c
``prior.mixture``, gamma_c = q(c|x) is the exponential of ``log_resp``, and J is ``n_components``.
"""

from typing import Any

from sklearn.utils._param_validation import StrOptions

from .deep.base import (
    ClusteringMixin,
    DeepEstimator,
    EmbeddingMixin,
    sample_prior,
)
from .deep.codes import (
    CodeModel,
    GaussianEncoder,
    MixturePrior,
    evidence_bound,
)
from .deep.fit import Recipe
from .functional.gaussian import expected_log_joint, log_joint
from .input.parameters import store_parameters
from .input.types import Auto, Doubles, Widths
from .nn.model import OptimizerGroup, regularize
from .nn.runtime import randn_like

#: Number of features for which the smoothness of VaDE by itself has its weight: the bound grows
#: with them.
FEATURES = 196


class VaDE(CodeModel):
    """Variational deep embedding.

    Parameters
    ----------
    encoder : GaussianEncoder, (N, D) -> (N, L), (N, L)
    decoder, likelihood, regularizer
        As in :class:`~skdeepcluster.deep.codes.CodeModel`.
    prior : MixturePrior
    objective : {"optimal", "published"}
        Form of the divergence, see :meth:`divergence`.
    """

    rates = CodeModel.rates | {"prior.*": 10.0}

    def __init__(self, encoder, decoder, likelihood, regularizer, prior, objective):
        super().__init__(encoder, decoder, likelihood, regularizer)
        self.prior = prior
        self.objective = objective

    def set_mixture(self, mixture):
        """Begin with a mixture of codes as prior."""
        self.prior.set_mixture(mixture)

    def log_resp_standardized(self, x_std):
        """Log q(k | x), (N, K), by the prior's mixture."""
        mixture = self.prior.mixture
        return self.log_joint(self.encoder(x_std), mixture).log_softmax(-1)

    def log_joint(self, posterior, mixture):
        """Log pi_c - KL_c, whose softmax is the gamma that maximizes eq. 12, (N, K)."""
        return expected_log_joint(*posterior, mixture)

    def divergence(self, z, expected, mixture):
        """KL(q(z, c|x) || p(z, c)), (N,), with ``expected`` (N, K) = log pi_c - KL_c.

        "optimal": at the gamma that maximizes eq. 12.
        "published": eq. 12 with gamma_c = p(c|z) of one z, eq. 16.
        """
        if self.objective == "optimal":
            return -expected.logsumexp(-1)
        log_gamma = log_joint(z, mixture).log_softmax(-1)
        return (log_gamma.exp() * (log_gamma - expected)).sum(-1)

    def loss(self, batch):
        """Negative bound, eq. 12 with one sample of z, and the terms of the regularizer."""
        x_std = self.standardize(batch.x)
        mixture = self.prior.mixture
        mean, std = self.encoder(x_std)
        expected = self.log_joint((mean, std), mixture)

        z = mean + std * randn_like(std)
        terms = {
            "reconstruction": -self.log_prob(batch.x, z).mean(),
            "kl": self.divergence(z, expected, mixture).mean(),
        }
        return terms | regularize(self, batch, x_std, expected.log_softmax(-1))

    def optimizer_groups(self):
        """Return a single loss of all parameters."""
        return (OptimizerGroup("vade", [self], self.loss),)

    def score(self, x, points=None):
        """Bound at the best gamma, (N,), over points (S, L), see :func:`evidence_bound`."""

        def divergence(mean, std):
            return -self.log_joint((mean, std), self.prior.mixture).logsumexp(-1)

        return evidence_bound(self, x, divergence, points)


class VaDEClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    r"""Variational deep embedding: a variational autoencoder with a Gaussian mixture as prior.

    It adds to an initial partition a density, codes, and samples from each cluster. The networks
    are pretrained as a variational autoencoder, and then trained together with the mixture.

    Parameters
    ----------
    objective : {"optimal", "published"}
        Form of q(c|x) in the bound. "optimal": its maximizer, in closed form. "published": p(c|z)
        of one sample z.
    learning_rate : float or "auto"
        Peak of the one-cycle schedule of AdamW; ten times as large for the prior. "auto":
        ``1e-3 * 500 / w`` with w the width of the first hidden layer.
    encoder : callable
        ``encoder(n_in, n_out)`` returns the encoder, ``n_out = 2 * n_components``. None: a
        multilayer perceptron.

    Attributes
    ----------
    weights_ : ndarray of shape (n_clusters,)
        Weights of the prior's components.
    means_, covariances_ : ndarray of shape (n_clusters, n_components)
        Means and variances of the prior's components.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Decoded means.
    model_ : VaDE
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        "vade_reconstruction", "vade_kl", "vade_initial", "vade_smoothness" and
        "vade_information".

    See Also
    --------
    VAEEmbedding : The same without the mixture in training.
    GaussianMixtureEM : The mixture without networks.

    Notes
    -----
    The objective is the evidence lower bound of the paper, eq. 12 [1]_,

    .. math::

        L(x) = E_q[\log p(x|z)] - \sum_c \gamma_c KL(q(z|x) \,\|\, p(z|c)) - KL(\gamma \,\|\, \pi).

    The maximum over :math:`\gamma` is at :math:`\gamma_c \propto \pi_c \exp(-KL_c)`, where the
    last two terms are :math:`\log \sum_c \pi_c \exp(-KL_c)`: the "optimal" objective.
    ``predict_proba`` is this :math:`\gamma` for every objective, because it depends on the sample
    alone.

    By default training begins with the partition of :class:`NeighborClustering`, and two terms,
    additions of this package, keep it: few labels change. ``score`` is the bound without these
    terms. With ``init="own"`` training begins with a mixture of the codes, and maximizes also the
    mutual information between samples and clusters [4]_; ``init="own", objective="published",
    smoothness_weight=0`` is the published way.

    References
    ----------
    .. [1] Z. Jiang, Y. Zheng, H. Tan, B. Tang, H. Zhou, "Variational Deep Embedding: An
       Unsupervised and Generative Approach to Clustering", IJCAI 2017, arXiv:1611.05148.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.
    .. [3] K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
       and Adversarial Attacks", NeurIPS 2018.
    .. [4] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VaDEClustering
    >>> X = load_iris().data
    >>> vade = VaDEClustering(3, n_components=2, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> vade.predict_proba(X).shape
    (150, 3)
    >>> X_new, y_new = vade.sample(5, cluster=1)
    >>> X_new.shape
    (5, 4)
    """

    _parameter_constraints = {
        "objective": [StrOptions({"optimal", "published"})],
    }

    _recipe = Recipe(rate=1e-3, steps=6, pretrains=True)

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
        objective="optimal",
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
        encoder, decoder = self._make_coders(n_features, 2 * n_codes, widths)
        return VaDE(
            GaussianEncoder(encoder),
            decoder,
            likelihood,
            self._make_regularizer(own_factor=n_features / FEATURES),
            MixturePrior(n_clusters, n_codes),
            self.objective,
        )

    def _train(self, model, training):
        return training.train_from_mixture(model)

    def _describe(self, model, training):
        self._describe_prior(model)

    # ---- predictions

    def score_samples(self, X) -> Doubles:
        """Lower bound on log p(x) of each sample, in nats and in the units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            The expectation over z is a mean over fixed points.
        """
        return self._map("score", X)

    sample = sample_prior

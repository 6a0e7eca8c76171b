"""VAEEmbedding: auto-encoding variational Bayes (Kingma & Welling, 2014).

In the paper's notation, mu and sigma are ``mean, std = encoder(x)``, and J is ``n_components``,
L here.
"""

import math
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from .deep.base import ClusteringMixin, DeepEstimator, EmbeddingMixin
from .deep.codes import (
    SAMPLES_AT_ONCE,
    CodeMixture,
    CodeModel,
    GaussianEncoder,
    decode_samples,
    draw_codes,
    evidence_bound,
    fit_mixture,
    mixture_of_partition,
)
from .deep.fit import Recipe, apply
from .functional.gaussian import standard_kl
from .functional.points import normal_quantiles, random_shifts, sample, uniform_points
from .input.checks import warn_user
from .input.parameters import begin_sample, check_count, store_parameters
from .input.types import Auto, Doubles, Labels, Reals, Widths
from .nn.model import OptimizerGroup, Regularizer
from .nn.runtime import randn_like

#: Minimum number of samples of z that an importance-weighted bound averages over.
MIN_POINTS = 256
#: Variance of the mean E[z_d | x] above which a dimension is active (Burda et al., section 5.1).
ACTIVE = 0.01


class ZeroLinear(nn.Linear):
    """A layer of zeros, made without random numbers; torch's skip_init imports a compiler."""

    def reset_parameters(self):
        """Set all parameters to zero."""
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class VAE(CodeModel):
    """Variational autoencoder with a standard normal prior.

    Parameters
    ----------
    encoder : GaussianEncoder, (N, D) -> (N, L), (N, L)
    decoder, likelihood, regularizer
        As in :class:`~skdeepcluster.deep.codes.CodeModel`. The regularizer keeps clusters apart in
        the codes, if there is a ``classifier``.
    kl_warm_up
        As in :class:`VAEEmbedding`.

    Attributes
    ----------
    classifier : Module or None
        From codes z, (N, L), to the logits of p(c | z), (N, K); in training only.
    """

    rates = CodeModel.rates | {"classifier.*": 10.0}

    def __init__(
        self,
        encoder,
        decoder,
        likelihood,
        regularizer,
        kl_warm_up,
    ):
        super().__init__(encoder, decoder, likelihood, regularizer)
        self.kl_warm_up = kl_warm_up
        self.mixture = CodeMixture()
        self.classifier = None

    def loss(self, batch):
        """Negative ELBO, eq. 10 with one sample of z, and the term of the regularizer."""
        mean, std = self.posterior(batch.x)
        z = mean + std * randn_like(std)
        weight = (self.progress / max(self.kl_warm_up, 1e-6)).clamp(max=1.0)
        kl = weight * standard_kl(mean, std).mean()
        terms = {"reconstruction": -self.log_prob(batch.x, z).mean(), "kl": kl}
        return terms | self.regularizer.terms(self.classify, z, batch.initial)

    def classify(self, z):
        """Log p(c | z) of codes by the classifier, (N, K)."""
        return self.classifier(z).log_softmax(-1)

    def optimizer_groups(self):
        """One loss of all parameters."""
        return (OptimizerGroup("vae", [self], self.loss),)

    def score(self, x, points=None):
        """ELBO of each sample, (N,), over points (S, L), see :func:`evidence_bound`."""
        return evidence_bound(self, x, standard_kl, points)

    def importance_bound(self, x, n_samples):
        """E[log mean_s p(x, z_s) / q(z_s|x)] over ``n_samples`` samples of q(z|x), (N,).

        The mean is over sets of ``n_samples`` of at least ``MIN_POINTS`` codes.
        """
        n_points = n_samples * -(-MIN_POINTS // n_samples)
        log_ratios = [log_ratio for _, log_ratio in self.weigh_codes(x, n_points)]
        sets = torch.cat(log_ratios).unflatten(0, (-1, n_samples))
        return sets.logsumexp(1).mean(0) - math.log(n_samples)

    def impute(self, x):
        """Replace missing values by E[x_d | observed features], (N, D).

        The expectation is over codes z, in proportion to p(x, z) / q(z|x) (P.-A. Mattei,
        J. Frellsen, "MIWAE", ICML 2019).
        """
        codes, log_ratios = zip(*self.weigh_codes(x, MIN_POINTS), strict=True)
        weights = torch.cat(log_ratios).softmax(0).split(SAMPLES_AT_ONCE)
        expected = torch.zeros_like(x, dtype=torch.float64)
        for z, weight in zip(codes, weights, strict=True):
            decoded = self.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
            expected += (weight.unsqueeze(-1) * decoded).sum(0)
        return torch.where(x.isnan(), expected.to(x.dtype), x)

    def weigh_codes(self, x, n_points):
        """Yield codes of q(z|x), (S, N, L), and their log p(x, z) / q(z|x), (S, N), in blocks.

        The codes are quasi-random points that a hash of the sample shifts modulo one. The
        outermost are moved inward: the ratio is unbounded where q is too narrow.
        """
        x_std = self.standardize(x)
        mean, std = self.encoder(x_std)
        log_std = std.double().log().sum(-1)
        n_components = mean.shape[1]
        shift = random_shifts(x_std, n_components)
        points = uniform_points(n_points, n_components).to(x.device)
        blocks = points[:, None].split(SAMPLES_AT_ONCE)
        least = 0.25 / n_points
        normal = (
            normal_quantiles((block + shift).remainder(1.0), least) for block in blocks
        )

        for block, z, log_x in decode_samples(self, x, mean, std, normal):
            # log p(z) - log q(z|x), both normal densities, whose constants cancel.
            squares = (block.square() - z.double().square()).sum(-1)
            yield z, log_x.double() + (0.5 * squares + log_std)

    def log_resp_standardized(self, x_std):
        """Log p(k | z = mean of q(z|x)), (N, K), by the mixture."""
        return self.mixture.log_resp(self.encoder.mean(x_std))

    def set_mixture(self, mixture):
        """Set the mixture of the codes."""
        device = next(self.parameters()).device
        self.mixture.set_mixture(mixture.to(device))


class VAEEmbedding(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    r"""Variational autoencoder as an embedding, with a Gaussian mixture on its codes.

    Learns codes by maximizing the evidence lower bound, then divides them into ``n_clusters`` with
    a Gaussian mixture (VAE + GMM).

    Parameters
    ----------
    init : {"neighbors", "own"}, clusterer or array-like
        Initial partition. An M-step from it on the codes gives the mixture. "neighbors":
        :class:`NeighborClustering`. A scikit-learn clusterer: a clone of it with this
        ``n_clusters`` and ``random_state``. Both cluster X, made dense, and standardized if
        ``standardize_``. An array: clusters (n_samples,) or responsibilities (n_samples,
        n_clusters). "own": no initial partition, as published; EM fits the mixture.
    covariance_type : {"full", "tied", "diag", "spherical"}
        Covariances of the mixture on the codes.
    init_weight : float
        Weight, times sqrt(n_features), of the cross-entropy between the initial partition and what
        a linear classifier reads from z. Keeps clusters apart in the codes; 0 as published.
    max_epochs : int or "auto"
        Number of epochs. "auto": ``20 * sqrt(n_samples)`` steps.
    learning_rate : float or "auto"
        Peak of the one-cycle schedule of AdamW. "auto": ``5e-4 * 500 / w`` with w the width of the
        first hidden layer.
    kl_warm_up : float
        Share of training during which the weight of the KL term rises from 0 to 1; 0 as published.
    encoder : callable
        ``encoder(n_in, n_out)`` returns the encoder, ``n_out = 2 * n_components``. None: a
        multilayer perceptron. Default networks start as probabilistic PCA (see Notes).

    Attributes
    ----------
    model_ : VAE
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        "vae_reconstruction", "vae_kl" and "vae_initial".
    weights_ : ndarray of shape (n_clusters,)
        Weights of the mixture on the codes.
    means_ : ndarray of shape (n_clusters, n_components)
        Means of the mixture.
    covariances_ : ndarray
        Covariances of the mixture, in the shapes of :class:`GaussianMixtureEM`.

    See Also
    --------
    GaussianMixtureEM : The mixture by itself.

    Notes
    -----
    The objective is the evidence lower bound [1]_

    .. math:: L(x) = E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \,\|\, N(0, I)), \quad
              q(z|x) = N(\mu(x), \mathrm{diag} \, \sigma(x)^2),

    with one sample of z in each step. With an initial partition, an addition of this package,
    training also maximizes :math:`w \sqrt{D} \, E_{q(z|x)}[\log p(c|z)]` with w =
    ``init_weight``, c the initial cluster and p(c|z) a softmax of z. The mixture is fitted after
    training; with an initial partition it is the M-step of its clusters.

    Default networks begin as probabilistic PCA, the optimum of linear networks [4]_. A
    ConvergenceWarning is given if no mean E[z_d|x] has a variance above 0.01 over the samples
    [2]_. By default the initial partition is that of :class:`NeighborClustering`, and the labels
    are close to it; ``augment`` is for its search alone. ``init="own", init_weight=0`` is the
    published way.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    .. [2] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016.
    .. [3] K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
       and Adversarial Attacks", NeurIPS 2018.
    .. [4] J. Lucas, G. Tucker, R. Grosse, M. Norouzi, "Don't blame the ELBO! A linear VAE
       perspective on posterior collapse", NeurIPS 2019, arXiv:1911.02469.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VAEEmbedding
    >>> X = load_iris().data
    >>> vae = VAEEmbedding(3, n_components=2, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> vae.transform(X).shape
    (150, 2)
    >>> vae.inverse_transform(vae.transform(X)).shape
    (150, 4)
    """

    _parameter_constraints = {
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
    }

    _recipe = Recipe(rate=5e-4, steps=20, learns_clusters=False)

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
        init: Any = "neighbors",
        contamination=0.0,
        use_labels=False,
        covariance_type="full",
        init_weight=0.5,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        kl_warm_up=0.5,
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
        n_outputs = 2 * self.n_components
        encoder, decoder = self._make_coders(n_features, n_outputs, widths)
        return VAE(
            GaussianEncoder(encoder),
            decoder,
            likelihood,
            Regularizer(self.init_weight * math.sqrt(n_features)),
            self.kl_warm_up,
        )

    def _train(self, model, training):
        settings = training.settings
        if settings.has_perceptrons:
            training.start_as_pca(model)
        initial = training.initial
        if initial.resp is not None and self.init_weight:
            sizes = self.n_components, initial.n_clusters
            options = {"device": settings.device, "dtype": torch.float32}
            model.classifier = ZeroLinear(*sizes, **options)
        run = training.train(model, initial)

        model.classifier = None
        training.progress.begin("mixture")
        codes = apply(model, model.encode, training.X)
        n_clusters = initial.n_clusters
        kind = self.covariance_type
        if initial.resp is None:
            mixture = fit_mixture(codes, n_clusters, training.random_state, kind)
        else:
            resp = np.eye(n_clusters)[initial.labels]
            mixture = mixture_of_partition(codes, resp, kind)
        model.set_mixture(mixture)
        return run

    def _describe(self, model, training):
        self._describe_mixture(model.mixture.mixture, self.covariance_type)
        codes = apply(model, model.encode, training.X)
        if codes.var(0).max() <= ACTIVE:
            warn_user(
                f"Posterior collapse: no dimension of the codes has a variance above {ACTIVE}. "
                "Train longer (max_epochs), or raise kl_warm_up, init_weight or n_components."
            )

    # ---- predictions

    def score_samples(self, X, n_importance_samples: int | None = None) -> Doubles:
        """Lower bound on log p(x) of each sample, in nats and in the units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.
        n_importance_samples : int, default=None
            None: the evidence lower bound. An int: the tighter importance-weighted bound with this
            many samples of z; publications use 5000.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            Means over fixed points of z.
        """
        if n_importance_samples is None:
            return self._map("score", X)
        n_samples = check_count("n_importance_samples", n_importance_samples)
        return self._map(lambda x: self.model_.importance_bound(x, n_samples), X)

    def impute(self, X) -> Any:
        """Replace missing values by their conditional means, given the observed features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, with nan for missing values.

        Returns
        -------
        X_imputed : {ndarray, DataFrame} of shape (n_samples, n_features)
            E[x | observed features] by the model, in the units of X; observed values unchanged.
        """
        filled = self._map("impute", X)  # before preparation_ is read
        return self.preparation_.fill(X, filled)

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Reals, Labels]:
        """Draw codes from the mixture, or from one of its clusters, and decode them.

        For samples from the prior, pass codes from N(0, I) to :meth:`inverse_transform`.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Cluster to draw from. None: all clusters, in proportion to their weights.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            E[x|z] of the codes, in the units of X; tables as by :meth:`VaDEClustering.sample`. An
            int ``random_state`` gives the same samples on every call.
        y : ndarray of shape (n_samples,)
            Cluster that each code was drawn from.
        """
        n_samples, stream = begin_sample(self, n_samples, cluster)
        noise = stream.standard_normal((n_samples, self._n_features_out))
        model = self.model_
        # The mixture is that of the means of q(z | x).
        means, y = draw_codes(model.mixture, n_samples, cluster, stream, sample)
        std = apply(model, lambda z: model.posterior(model.decode(z))[1], means)
        Z = means + std * noise
        return self._decode(Z.astype(np.float32), stream), y

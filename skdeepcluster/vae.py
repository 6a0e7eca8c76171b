"""VAEEmbedding: auto-encoding variational Bayes (Kingma & Welling, 2014).

Maximizes the evidence lower bound (ELBO), eq. 3 with the closed form of appendix B.

================  =====================================
in the paper      here
================  =====================================
x, z              ``x``, ``z``
mu, sigma         ``mean``, ``std`` = ``encoder(x)``
epsilon           ``noise``
log p(x|z)        ``likelihood.log_prob(x, decoder(z))``
J                 L, ``n_components``
================  =====================================
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ._base import DeepEstimator
from ._embedding import EmbeddingMixin
from ._init import CONSTRAINTS, Partition, fit_mixture, mixture_of_partition
from ._settings import Recipe
from ._typing import Reals
from ._validation import Auto, LabeledClusterMixin
from .engine.runtime import broadcast_object, random_stream, store_parameters
from .functional import random
from .functional.gaussian import (
    Mixture,
    standard_kl,
)
from .functional.points import hash_rows, normal_quantiles, uniform_points
from .modules.autoencoder import (
    SAMPLES_AT_ONCE,
    CodeGame,
    GaussianEncoder,
    decode_samples,
    evidence_bound,
    start_as_pca,
)
from .modules.game import Augmentation, Player
from .modules.likelihood import Bernoulli
from .modules.networks import make_network
from .modules.prior import CodeMixture
from .modules.regularization import NO_REGULARIZER, Regularizer

#: Fewest samples of z of which an importance-weighted bound is the mean.
LEAST_POINTS = 256
#: Most rows whose principal components the networks start from.
PCA_ROWS = 4096
#: Least variance of the noise of probabilistic PCA, as a share of the mean variance of features.
LEAST_NOISE = 0.01
#: A dimension of the codes is active if its means E[z_d | x] have a greater variance (Burda et
#: al., 2016, section 5.1).
ACTIVE = 0.01


class VAE(CodeGame):
    """Variational autoencoder with a standard normal prior.

    Parameters
    ----------
    encoder : GaussianEncoder, (N, D) -> (N, L), (N, L)
    decoder, likelihood
        As of :class:`~skdeepcluster.modules.autoencoder.CodeGame`.
    kl_warm_up, binarize, covariance_type
        As of :class:`VAEEmbedding`; the mixture is fitted to the means after training.
    regularizer : Regularizer, default=NO_REGULARIZER
        Its anchor term holds the codes to clusters, as long as there is a ``classifier``.

    Attributes
    ----------
    classifier : Module or None
        From codes z, (N, L), to the logits of p(c | z), (N, K); for training only.
    """

    rates = CodeGame.rates | {"classifier.*": 10.0}

    def __init__(
        self,
        encoder,
        decoder,
        likelihood,
        kl_warm_up=0.0,
        binarize=False,
        covariance_type="full",
        regularizer=NO_REGULARIZER,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.regularizer = regularizer
        self.classifier = None
        self._is_collapsed = False
        self.kl_warm_up = kl_warm_up
        self.binarize = binarize
        self.covariance_type = covariance_type

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative ELBO, eq. 10 with one sample of z, and the cross-entropy of the anchor."""
        x = random.bernoulli(batch.x.float()) if self.binarize else batch.x
        mean, std = self.posterior(x)
        z = mean + std * random.randn_like(std)
        weight = (self.progress / max(self.kl_warm_up, 1e-6)).clamp(max=1.0)
        terms = {
            "reconstruction": -self.log_prob(x, z).mean(),
            "kl": weight * standard_kl(mean, std).mean(),
        }
        return terms | self.regularizer.terms(self.classify, z, batch.anchor)

    def set_classifier(self, n_components, n_clusters, device) -> None:
        """Create the classifier, which begins with equal probabilities."""
        shape = n_components, n_clusters
        self.classifier = skip_init(nn.Linear, *shape, device=device, dtype=torch.float32)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def classify(self, z) -> Tensor:
        """Log p(c | z) of codes by the classifier, (N, K)."""
        return self.classifier(z).log_softmax(-1)

    def criterion(self, x, noise=None) -> Tensor:
        """ELBO of each row, (N,), over noise (S, L) of the codes, by default fixed points."""
        return evidence_bound(self, x, standard_kl, noise)

    def importance_bound(self, x, n_samples) -> Tensor:
        """E[log mean_s p(x, z_s) / q(z_s|x)] over n samples of q(z|x), (N,).

        It rises from the ELBO, for n = 1, to log p(x). The expectation is the mean over as many
        sets of n points as together have ``LEAST_POINTS`` or more, so that for multiples of n
        that divide these it is not less in any row. The points are quantiles of a Sobol sequence
        that a hash of the row shifts modulo one (R. Cranley, T. N. L. Patterson, "Randomization of
        number theoretic methods for multiple integration", SIAM J. Numer. Anal. 13, 1976). The
        outermost are drawn in to the quarter of a point's share: where q is narrower than the
        posterior, the ratio has no bound there. This makes the bound a little lower.
        """
        seen = self.standardize(x)
        mean, std = self.encoder(seen)
        log_std, shift = std.double().log().sum(-1), hash_rows(seen, mean.shape[1])
        n_points = n_samples * -(-LEAST_POINTS // n_samples)
        points = uniform_points(n_points, mean.shape[1]).to(x.device)
        blocks = points[:, None].split(SAMPLES_AT_ONCE)
        least = 0.25 / n_points
        noise = (normal_quantiles((some + shift).remainder(1.0), least) for some in blocks)
        log_ratios = []
        for some, z, log_x in decode_samples(self, x, mean, std, noise):
            # log p(z) - log q(z|x); the densities of both are normal, and constants cancel.
            log_prior = 0.5 * (some.square() - z.double().square()).sum(-1) + log_std
            log_ratios.append(log_x.double() + log_prior)
        sets = torch.cat(log_ratios).unflatten(0, (-1, n_samples))
        return sets.logsumexp(1).mean(0) - math.log(n_samples)

    def log_resp_standardized(self, seen) -> Tensor:
        """Log p(k | z = mean of q(z|x)), (N, K), by the mixture."""
        return self.mixture.log_resp(self.encoder.mean(seen))

    def set_mixture(self, mixture) -> None:
        """Set the mixture of the means."""
        device = next(self.parameters()).device
        self.mixture = CodeMixture(mixture, self.covariance_type).to(device)

    def restore_buffers(self, tensors) -> None:
        """Create the mixture, which a new model does not have."""
        super().restore_buffers(tensors)
        mixture = Mixture(*(tensors[f"mixture.{name}"] for name in Mixture._fields))
        mixture.check(mixture.means.shape[-1])
        self.set_mixture(mixture)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Weights, means and covariances of the mixture."""
        return self.mixture.fitted_attributes()

    def players(self) -> tuple[Player, ...]:
        """One player."""
        networks = [self.encoder, self.decoder, self.likelihood]
        if self.classifier is not None:
            networks.append(self.classifier)
        return (Player("vae", networks, self.loss),)


class VAEEmbedding(LabeledClusterMixin, EmbeddingMixin, DeepEstimator):
    r"""Variational autoencoder as an embedding, with a Gaussian mixture on its codes.

    Learns codes of ``n_components`` numbers by maximizing the evidence lower bound, then divides
    the codes into ``n_clusters`` with a Gaussian mixture (VAE + GMM).

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of components of the mixture on the codes. "auto": the number that
        :func:`~skdeepcluster.neighbors.count_clusters` finds.
    n_components : int, default=10
        Size of the code.
    hidden_layer_sizes : array-like of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. "auto": (w, w, 4 w) with
        ``w = 500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1) ** 0.25``, at least
        128; these are the papers' widths for MNIST.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="relu"
        Activation of the hidden layers.
    likelihood : {"auto", "bernoulli", "gaussian"}, dict or ColumnLikelihood, default="auto"
        Distribution of the features, all in the units of X. "bernoulli": probabilities in [0, 1].
        "gaussian": numbers, scaled inside, with a learned noise level for each. "auto":
        "bernoulli" for data in [0, 1] that vary like probabilities, else "gaussian". A dict gives
        the columns of each kind by index or name, one-hot columns in groups:
        ``{"gaussian": [0, 1], "bernoulli": [2], "categorical": [[3, 4], [5, 6]]}``.
    standardize : "auto" or bool, default="auto"
        Whether Gaussian features are divided by their own standard deviations (True) or all by one
        number (False). "auto": True unless the scales are comparable (the largest standard
        deviation is at most 10 times the median) or the columns look like principal components.
    init : {"neighbors", "mixture"}, clusterer or array-like, default="neighbors"
        Initial partition, whose M-step on the codes gives the mixture. "neighbors":
        :class:`NeighborClustering` of the standardized samples. A scikit-learn clusterer: a clone
        of it, with this ``n_clusters`` and ``random_state`` if it has them. An array: the cluster
        of each sample, or responsibilities of shape (n_samples, n_clusters). "mixture": none; the
        mixture is fitted to the codes by EM.
    noise : float, default=0.0
        Share of the samples to label as noise, in [0, 1): those with the highest
        ``outlier_scores_`` get the label -1.
    use_labels : bool, default=False
        Whether ``y`` of ``fit`` holds known clusters: numbers from 0 to ``n_clusters - 1``, -1
        where unknown. The initial partition follows them, and training holds these samples to them
        by ``start_weight``. ``labels_`` are the network's predictions and may differ from them.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Covariances of the mixture on the codes.
    start_weight : float, default=0.5
        Weight, times sqrt(n_features), of the cross-entropy between the initial partition and what
        a linear classifier reads from z. Keeps codes of similar clusters apart. An addition of
        this package; 0 is the published objective.
    max_epochs : int or "auto", default="auto"
        Number of epochs. "auto": ``20 * sqrt(n_samples)`` steps.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW. "auto": ``5e-4 * 500 / w`` with w the width of the
        first hidden layer.
    kl_warm_up : float, default=0.5
        Share of training in which the weight of the KL term rises from 0 to 1, against posterior
        collapse; 0 is the published objective.
    encoder : callable, default=None
        ``encoder(n_in, n_out)`` returns the encoder, ``n_out = 2 * n_components``. None: a
        multilayer perceptron. Default networks start as probabilistic PCA (see Notes).
    decoder : callable, default=None
        ``decoder(n_in, n_out)`` returns the decoder. None: the mirrored perceptron.
    binarize : bool, default=False
        Whether binary samples are drawn from Bernoulli(x) in every step; for "bernoulli" only.
    batch_size : int or "auto", default="auto"
        Number of samples in a step. "auto": sqrt(n_samples), from 32 to 256.
    n_init : int, default=1
        Number of trainings from new weights. The one with the highest mean of
        :meth:`score_samples` on X is kept.
    augment : callable, default=None
        ``augment(x)`` returns other versions, with the same clusters, of the samples of a step (n,
        n_features), a tensor in the units of X. For images:
        :class:`~skdeepcluster.modules.augmentation.RandomAffine`.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Precision of training. "auto": bfloat16 on hardware that is fast at it.
    callbacks : list of skorch callbacks, default=None
        Used in training, not in pretraining, for instance
        ``[EarlyStopping(monitor="train_loss")]``.
    checkpoint : str or path-like, default=None
        File for the state of a running fit, written every minute. The same call resumes from it
        after a crash and gives the same result bit for bit. It is removed at the end.
    device : str or torch.device, default="auto"
        "auto": a GPU if there is one, else the CPU.
    warm_start : bool, default=False
        Whether ``fit`` goes on training the fitted model, with a new cycle of the learning rate.
    verbose : int, default=0
        1: a progress bar over all phases. 2: a table with a line per epoch.
    accept_sparse : bool, default=False
        Whether sparse X is accepted. Batches are made dense one at a time; the search for an
        initial partition makes all of X dense.
    random_state : int, RandomState instance or None, default=None
        Decides everything random. An int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample of X, -1 for noise; equal to ``predict(X)``.
    probabilities_ : ndarray of shape (n_samples,)
        Probability of the most probable cluster of each sample.
    start_labels_ : ndarray of shape (n_samples,) or None
        Initial partition, numbered like ``labels_``.
    moved_ : float or None
        Share of the samples whose cluster differs from ``start_labels_``.
    outlier_scores_ : ndarray of shape (n_samples,)
        Mahalanobis distance of each sample to the nearest cluster mean, by the covariance within
        clusters (with more than 1,000 features, by its diagonal) [3]_.
    offset_ : float
        Samples whose outlier score exceeds ``-offset_`` are noise.
    model_ : VAE
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        "vae_reconstruction", "vae_kl" and "vae_start".
    n_clusters_ : int
        Number of clusters.
    n_clusters_curve_ : Bunch
        Only with ``n_clusters="auto"``: what :func:`~skdeepcluster.neighbors.count_clusters`
        returns.
    n_iter_ : int
        Number of training epochs, without pretraining.
    weights_ : ndarray of shape (n_clusters,)
        Weights of the mixture on the codes.
    means_ : ndarray of shape (n_clusters, n_components)
        Means of the mixture.
    covariances_ : ndarray
        Covariances of the mixture, in the shapes of :class:`GaussianMixtureEM`.
    likelihood_ : {"bernoulli", "gaussian", "columns"}
        Likelihood used; "columns" if it differs between columns.
    standardize_ : bool
        Whether features are divided by their own standard deviations.
    temperature_ : float
        Log-probabilities are divided by this number, at least 1, so that ``predict_proba`` is as
        calibrated as the initial partition (temperature scaling).
    hidden_layer_sizes_, learning_rate_, batch_size_, max_epochs_
        Values used, as given or as "auto" chose.
    device_, precision_ : str
        Device and precision of training.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Feature names, if X has names that are all strings.

    See Also
    --------
    GaussianMixtureEM : The mixture by itself.

    Notes
    -----
    The objective is the evidence lower bound [1]_

    .. math:: L(x) = E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \,\|\, N(0, I)), \quad
              q(z|x) = N(\mu(x), \mathrm{diag} \, \sigma(x)^2),

    summed over dimensions, averaged over samples, with one sample of z in each step.
    ``score_samples`` averages over a fixed set of z instead.

    With an initial partition, training also maximizes

    .. math:: w \sqrt{D} \, E_{q(z|x)}[\log p(c|z)]

    with w = ``start_weight``, c the initial cluster and p(c|z) a softmax of z, as if c were one
    more column of x. The mixture is fitted after training and does not change the codes; with an
    initial partition it is the M-step of its clusters. The initial partition is an addition of
    this package.

    Default networks begin as probabilistic PCA of at most 4,096 samples, the optimum of linear
    ones [4]_; from random weights, the decoder learns to ignore codes that explain little of each
    feature. A ConvergenceWarning is given if no code is active [2]_: no mean E[z_d|x] has a
    variance above 0.01 over the samples.

    Labels are nearly those of the initial partition. For labels alone, NeighborClustering is
    faster.

    References
    ----------
    .. [1] D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
       arXiv:1312.6114.
    .. [2] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016,
       arXiv:1509.00519, for the tighter bound of ``score_samples`` and for active units.
    .. [3] K. Lee, K. Lee, H. Lee, J. Shin, "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018 (the outlier score).
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
    >>> vae.predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        "encoder": [callable, None],
        "decoder": [callable, None],
        "init": CONSTRAINTS["init"],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "start_weight": [Interval(Real, 0, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "binarize": ["boolean"],
    }

    _recipe = Recipe(rate=5e-4, steps=20)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        init: Any = "neighbors",
        noise=0.0,
        use_labels=False,
        covariance_type="full",
        start_weight=0.5,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        kl_warm_up=0.5,
        encoder=None,
        decoder=None,
        binarize=False,
        batch_size: int | Auto = "auto",
        n_init=1,
        augment: Augmentation | None = None,
        precision="float32",
        callbacks=None,
        checkpoint=None,
        device: Any = "auto",
        warm_start=False,
        verbose=0,
        accept_sparse=False,
        random_state=None,
    ) -> None:
        store_parameters(locals())

    def _build(self, n_features, widths, likelihood):
        make = partial(make_network, widths=widths, activation=self.activation)
        if self.binarize and not isinstance(likelihood, Bernoulli):
            raise ValueError(
                "binarize=True draws pixels with probability x, but the likelihood is "
                f"{likelihood.describe()}. Scale X to [0, 1], take likelihood='bernoulli', or set "
                "binarize=False."
            )
        return VAE(
            GaussianEncoder(make("encoder", self.encoder, n_features, 2 * self.n_components)),
            make("decoder", self.decoder, self.n_components, n_features),
            likelihood,
            self.kl_warm_up,
            self.binarize,
            self.covariance_type,
            Regularizer(self.start_weight * math.sqrt(n_features)),
        )

    def _initialize(self, model, fit):
        if self._continues():
            partition = self._keep_partition(model, fit)
        else:
            partition = Partition() if fit.partition is None else fit.partition
            if self.encoder is None and self.decoder is None:
                self._start_networks(model, fit)
        if partition.anchor is not None and self.start_weight:
            model.set_classifier(self.n_components, self._count_clusters(), fit.device)
        return partition

    def _find_anchor(self, partition, fit):
        return super()._find_anchor(partition, fit) if self.start_weight else None

    def _start_networks(self, model, fit):
        """Let the networks start as probabilistic PCA of the standardized rows."""
        every = -(-fit.n_samples // PCA_ROWS)
        rows = self._apply(model, model.standardize, fit.X[::every])
        widths = fit.settings.hidden_layer_sizes
        widest = min((width // 2 for width in widths), default=self.n_components)
        q = min(self.n_components, widest, rows.shape[1], len(rows) - 1)
        spread = float(rows.var(0).mean())
        if q < 1 or not spread:
            return
        pca = broadcast_object(lambda: PCA(q, random_state=0).fit(rows))
        noise = max(float(pca.noise_variance_), LEAST_NOISE * spread)
        found = pca.mean_, pca.components_, pca.explained_variance_
        mean, axes, variances = (
            torch.as_tensor(x, dtype=torch.float32, device="cpu") for x in found
        )
        start_as_pca(model.cpu(), mean, axes, variances, noise)
        model.to(fit.device)

    def _after_training(self, model, fit, partition):
        model.classifier = None
        codes = self._apply(model, model.encode, fit.X)
        model._is_collapsed = not (codes.var(0) > ACTIVE).any()
        n_clusters = self._count_clusters()
        if partition.anchor is None:
            counts = n_clusters, fit.random_state
            divide = partial(fit_mixture, codes, *counts, self.covariance_type)
        else:
            resp = np.eye(n_clusters)[partition.labels]
            divide = partial(mixture_of_partition, codes, resp, self.covariance_type)
        model.set_mixture(fit.search("mixture", divide))

    def _set_fitted_attributes(self, run, fit):
        super()._set_fitted_attributes(run, fit)
        if run.model._is_collapsed:
            warnings.warn(
                f"Posterior collapse: no dimension of the codes has a variance above {ACTIVE}. "
                "Train longer (max_epochs), raise kl_warm_up, start_weight or n_components, or "
                "use the default networks, which start from principal components.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def score_samples(self, X, n_importance_samples: int | None = None) -> npt.NDArray[np.float64]:
        """Lower bound on log p(x) of each row, in nats and in the units of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to score.
        n_importance_samples : int, default=None
            None: the evidence lower bound. An int: the importance-weighted bound with this many
            samples of z, tighter the more there are; 5000 is usual in publications.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            The expectation over z in the evidence lower bound is the mean over a fixed set of
            points, within 0.03 nats on the digits. The importance-weighted bound is the mean over
            sets of n points that depend on the sample; a single sample may exceed log p(x).
        """
        check_is_fitted(self)
        if n_importance_samples is None:
            return super().score_samples(X)
        n_samples = check_scalar(n_importance_samples, "n_importance_samples", Integral, min_val=1)
        model = self.model_
        return self._map(lambda x: model.importance_bound(x, n_samples), X)

    def sample(self, n_samples: int = 1) -> Reals:
        """Draw codes from N(0, I) and decode them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            E[x|z] of the drawn codes, in the units of the training data. As with
            :class:`~sklearn.mixture.GaussianMixture`, an int ``random_state`` draws the same
            rows on every call.
        """
        check_is_fitted(self)
        n_samples = int(check_scalar(n_samples, "n_samples", Integral, min_val=1))
        stream = random_stream(self.random_state)
        Z = stream.standard_normal((n_samples, self._n_features_out)).astype(np.float32)
        return self._apply(self.model_, self.model_.decode, Z)

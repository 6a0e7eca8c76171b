"""VAEEmbedding: auto-encoding variational Bayes (Kingma & Welling, 2014).

Maximises the evidence lower bound (ELBO), eq. 3 with the closed form of appendix B.

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
from collections.abc import Callable, Sequence
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

from ._base import DeepEstimator, EmbeddingMixin
from ._budget import Budget
from ._initialization import (
    Initialization,
    fit_mixture,
    is_mixture,
    mixture_of_partition,
    search_partition,
)
from ._typing import Reals
from ._validation import Auto, LabelledClusterMixin
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
from .neighbor_clustering import METRICS, NeighborClustering

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
    """Variational auto-encoder with a standard normal prior.

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


class VAEEmbedding(LabelledClusterMixin, EmbeddingMixin, DeepEstimator):
    r"""Variational auto-encoder as an embedding, with a Gaussian mixture on its codes.

    Learns codes of ``n_components`` numbers by maximising the evidence lower bound, then divides
    the codes into ``n_clusters`` with a Gaussian mixture (VAE + GMM).

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of components of the mixture on the codes. "auto": as many as
        :func:`~skdeepcluster.neighbors.count_clusters` finds in the standardised rows.
    n_components : int, default=10
        Size of the code.
    hidden_layer_sizes : array-like of int or "auto", default="auto"
        Widths of the encoder's hidden layers; the decoder mirrors them. "auto": (w, w, 4 w) with
        w = 500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1)^(1/4), at least 128;
        (500, 500, 2000), as in the paper, for data of MNIST's shape.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="relu"
        Activation of the hidden layers.
    likelihood : {"auto", "bernoulli", "gaussian"}, dict or ColumnLikelihood, default="auto"
        What the decoder's output means. "bernoulli" needs data in [0, 1]; "gaussian" works on
        features that are scaled inside and learns the noise of each; "auto" takes "bernoulli" for
        data in [0, 1] whose variance is at least a hundredth of that of zeros and ones with the
        same means, else "gaussian". A dict names the columns of each likelihood, every column
        once, by indices or by the names of a DataFrame, and categories by their groups of one-hot
        columns: ``{"gaussian": [0, 1], "bernoulli": [2], "categorical": [[3, 4], [5, 6]]}``; a
        :class:`~skdeepcluster.modules.likelihood.ColumnLikelihood` is the same by indices. New
        rows are clipped to [0, 1] where it is "bernoulli". Inputs and outputs are always in the
        units of X; those of one-hot columns are probabilities. A weight may stand for the ones of
        a category, as ``transformer_weights`` of :class:`~sklearn.compose.ColumnTransformer` gives
        it.
    standardize : "auto" or bool, default="auto"
        How features with a Gaussian likelihood are scaled for the networks. True: each by its own
        mean and standard deviation. False: all are centred and divided by one number, the root
        mean square of their standard deviations, so that they keep the weights that they have in
        X. "auto" is True unless the largest standard deviation is at most 10 times the (lower)
        median, or those of 5 features or more fall from column to column, as of principal
        components; constant features do not count.
    init : {"neighbors", "mixture"} or NeighborClustering, default="neighbors"
        How the mixture on the codes starts. "neighbors": from the partition seen in a layout of
        the neighbour graph of the standardised rows (see
        :func:`~skdeepcluster.neighbors.neighbor_start`), far more reliable. A
        :class:`NeighborClustering`: the same by its settings; a clone of it is fitted, with the
        ``n_clusters`` and ``random_state`` given here. "mixture": by EM on the codes alone, the
        published way, best of ``mixture_n_init`` starts.
    metric : str or callable, default="euclidean"
        Of the neighbour graph of init="neighbors", as in
        :class:`sklearn.neighbors.NearestNeighbors`, for instance "cosine"; not "precomputed".
    max_clusters : int, default=60
        The largest number that ``n_clusters="auto"`` considers.
    noise : float, default=0.0
        Share of the rows that are noise, in [0, 1): those of the largest ``outlier_scores_`` get
        the label -1. Their probabilities still say to which cluster they would belong.
    use_labels : bool, default=False
        Take ``y`` of ``fit`` for known clusters: their numbers, from 0 to ``n_clusters - 1``, and
        -1 for rows whose cluster is not known. Not all clusters need labelled rows. With
        ``n_clusters="auto"`` there are at least as many clusters as the labels number. The start
        follows the labels (see :func:`~skdeepcluster.neighbors.neighbor_start`; where ``init`` may
        be an array, only its labelled rows change), and in training labelled rows are held to
        their clusters as all are to the start, by ``start_weight``. The network answers:
        ``labels_`` and ``predict`` need not be the labels. Not with init="mixture".
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Covariances of the mixture on the codes.
    start_weight : float, default=0.5
        Weight, times the square root of ``n_features``, of the cross-entropy of the clusters that
        a linear classifier reads off z to those of the start, unless init="mixture"; without it
        the codes of similar clusters overlap. An addition of this package; 0 is the published
        objective.
    mixture_n_init : int, default=10
        Starts of the mixture; the best by likelihood is kept.
    max_epochs : int or "auto", default="auto"
        Passes over X. "auto" makes ``20 * sqrt(n_samples)`` steps.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW. "auto" is ``5e-4 * 500 / w``, w the
        width of the first hidden layer, at least 128.
    kl_warm_up : float, default=0.5
        Share of training during which the weight of the KL term rises from 0 to 1, against
        posterior collapse; 0 is the published objective from the first step.
    encoder : callable, default=None
        ``encoder(n_in, n_out)`` gives the encoder's network, ``n_out = 2 * n_components``. None:
        a perceptron of ``hidden_layer_sizes``. If decoder is None, too, both start as
        probabilistic PCA (see Notes), else from random weights.
    decoder : callable, default=None
        ``decoder(n_in, n_out)`` gives the decoder's network. None: the mirrored perceptron.
    binarize : bool, default=False
        Draw binary rows from Bernoulli(x) anew in every step (dynamic binarisation); for
        "bernoulli" only.
    batch_size : int or "auto", default="auto"
        Rows in a step, at most ``n_samples``. "auto" is sqrt(n_samples), from 32 to 256.
    n_init : int, default=1
        Trainings from new weights; the best by the mean of :meth:`score_samples` on X is kept.
    augment : callable, default=None
        ``augment(x)`` gives other versions of the rows (n, n_features) of a step, a tensor in the
        units of X, that belong to the same clusters or classes. Networks, and a density if there
        is one, are trained on them instead of the rows. For images
        :class:`~skdeepcluster.modules.augmentation.RandomAffine`.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Of training; "auto" is bfloat16 on hardware fast at it. Answers are computed in float32.
    callbacks : list of skorch callbacks, default=None
        Called in training, not in pretraining; not copied. ``EarlyStopping(monitor="train_loss")``
        stops a training whose loss no longer improves.
    checkpoint : str or path-like, default=None
        File that the state of the fit is written to, at the end of each phase and in training
        every minute. The same call goes on from it after a crash, to the same result bit for bit;
        it is removed when the fit is over. The state of ``callbacks`` is not in it.
    device : str or torch.device, default="auto"
        "auto" is CUDA if there is a GPU, else the CPU.
    warm_start : bool, default=False
        Go on training the fitted model: a warm restart, with one more cycle of the learning rate
        from its warm-up on and new means of the gradients; ``checkpoint`` goes on within a cycle.
    verbose : int, default=0
        1 shows a progress bar over all training steps, or lines where there is no terminal; 2
        prints a table with a line per epoch.
    accept_sparse : bool, default=False
        Take sparse X; rows are made dense one batch at a time, but all at once where a start in
        the graph of neighbours is to be found, as by default.
    random_state : int, RandomState instance or None, default=None
        Decides everything random; an int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X, -1 for noise; equal to ``predict(X)``.
    probabilities_ : ndarray of shape (n_samples,)
        Probability of this cluster; of noise that of the most probable one.
    start_labels_ : ndarray of shape (n_samples,) or None
        Clusters of the neighbour start, numbered alike. None with init="mixture".
    moved_ : float or None
        Share of the rows whose cluster is not that of the start.
    outlier_scores_ : ndarray of shape (n_samples,)
        Mahalanobis distance of each row to the nearest mean of a cluster, in standard deviations
        of rows about the means of their clusters: the larger, the farther from every cluster
        [3]_. By the covariance within clusters, with more than 1,000 features by its diagonal.
    offset_ : float
        Rows whose outlier score is greater than ``-offset_`` are noise.
    model_ : VAE
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row
        "vae_reconstruction", weighted during ``kl_warm_up`` "vae_kl", and of ``start_weight``
        "vae_start".
    n_clusters_ : int
        Number of clusters.
    n_clusters_curve_ : Bunch
        With ``n_clusters="auto"`` only: the arrays that
        :func:`~skdeepcluster.neighbors.count_clusters` returns.
    n_iter_ : int
        Epochs trained.
    weights_ : ndarray of shape (n_clusters,)
        Weights of the mixture on the codes.
    means_ : ndarray of shape (n_clusters, n_components)
        Its means.
    covariances_ : ndarray
        Its covariances, in the shapes of :class:`GaussianMixtureEM`.
    likelihood_ : {"bernoulli", "gaussian", "columns"}
        As given or as "auto" chose; "columns" for a likelihood of columns.
    standardize_ : bool
        Whether features are scaled by standard deviations of their own, as given or as "auto"
        chose; False without Gaussian features.
    temperature_ : float
        At least 1: the probabilities of the objective to the power 1 / T, normalised, are those
        of ``predict_proba``. It makes the mean cross-entropy to the calibrated responsibilities
        of the start least; 1 without a neighbour start.
    hidden_layer_sizes_ : tuple of int
        As given or as "auto" chose.
    learning_rate_ : float
        As given or as "auto" chose.
    batch_size_, max_epochs_ : int
        As given or as "auto" chose; a step has at most ``n_samples`` rows.
    device_, precision_ : str
        As given or as "auto" chose.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    GaussianMixtureEM : The mixture by itself.

    Notes
    -----
    The objective is the evidence lower bound [1]_

    .. math:: L(x) = E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \,\|\, N(0, I)), \quad
              q(z|x) = N(\mu(x), \mathrm{diag} \, \sigma(x)^2),

    both terms summed over their dimensions and averaged over rows, one sample of z per row and
    step. ``score_samples`` averages over a fixed quasi-random set of z instead.

    From a neighbour start, training maximises in addition

    .. math:: w \sqrt{D} \, E_{q(z|x)}[\log p(c|z)]

    with w = ``start_weight``, D features, c the cluster of the start and p(c|z) linear in z up to
    its normalisation: as if c were one more column of the row, rebuilt but not seen. What this
    takes from the evidence lower bound is at most what it adds here.

    Default networks start as probabilistic PCA of at most 4096 rows, the optimum of linear ones
    [4]_; from random weights the decoder learns to ignore codes that explain little of each
    feature (posterior collapse). Each component takes two units of a hidden layer, and without
    enough units the first components are taken. A ConvergenceWarning is given when no code is
    active [2]_, i.e. none has means E[z_d|x] whose variance over rows exceeds .01, and when over
    a quarter of the rows have another cluster than that of the start.

    The mixture is fitted after training and does not change the codes; from a neighbour start, by
    the M-step from its clusters. The neighbour start is an addition of this package.

    Labels follow the start: of eleven sets (benchmarks/RESULTS.md, "What networks add to their
    starts") their accuracy is .001 above the start's on average, from -.008 (iris) to +.009
    (breast_cancer). For labels alone, NeighborClustering is faster.

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
        "init": [StrOptions({"neighbors", "mixture"}), NeighborClustering],
        "metric": [StrOptions(METRICS), callable],
        "covariance_type": [StrOptions({"full", "tied", "diag", "spherical"})],
        "start_weight": [Interval(Real, 0, None, closed="left")],
        "mixture_n_init": [Interval(Integral, 1, None, closed="left")],
        "kl_warm_up": [Interval(Real, 0, 1, closed="both")],
        "binarize": ["boolean"],
    }

    _budget = Budget(rate=5e-4, steps=20)

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
        metric: str | Callable[..., float] = "euclidean",
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        covariance_type="full",
        start_weight=0.5,
        mixture_n_init=10,
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

    def _build(self, n_features, likelihood):
        make = partial(make_network, widths=self._widths(), activation=self.activation)
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

    def _initialize(self, model, fit, is_new):
        if is_new and self.encoder is None and self.decoder is None:
            self._start_networks(model, fit)
        if is_mixture(self.init):
            return Initialization()
        start = Initialization.of(search_partition(self, self.init, fit))
        if not self.start_weight:
            return start._replace(anchor=None)
        shape = self.n_components, start.anchor.shape[1]
        model.classifier = skip_init(nn.Linear, *shape, device=fit.device, dtype=torch.float32)
        nn.init.zeros_(model.classifier.weight)
        nn.init.zeros_(model.classifier.bias)
        return start

    def _start_networks(self, model, fit):
        """Let the networks start as probabilistic PCA of the standardised rows."""
        every = -(-fit.n_samples // PCA_ROWS)
        rows = self._apply(model, model.standardize, fit.X[::every])
        widest = min((width // 2 for width in self._widths()), default=self.n_components)
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

    def _after_training(self, model, fit, start):
        model.classifier = None
        fit.progress.begin("mixture")
        codes = self._apply(model, model.encode, fit.X)
        model._is_collapsed = not (codes.var(0) > ACTIVE).any()
        if start.start_labels is None:
            counts = self._count_clusters(), fit.random_state, self.mixture_n_init
            divide = partial(fit_mixture, codes, *counts, self.covariance_type)
        else:
            resp = np.eye(self._count_clusters())[start.start_labels]
            divide = partial(mixture_of_partition, codes, resp, self.covariance_type)
        model.set_mixture(fit.search(divide))

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
            None: the evidence lower bound. A number: the importance-weighted bound with so many
            samples, tighter the more there are; 5000 is usual for reported log-likelihoods.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,), float64
            The expectation over z in the evidence lower bound is the mean over the same 8 points
            for each dimension of z, at least 64: on the digits within 0.03 nats in the mean of
            the rows. The importance-weighted bound is the mean over sets of n points, in all at
            least 256, that the row decides by its values: its error averages out over rows. A
            single row may exceed log p(x), which a bound in expectation does not exclude: of the
            digits and of iris, with codes of two dimensions, by at most 0.3 nats.
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

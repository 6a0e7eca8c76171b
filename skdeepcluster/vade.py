r"""VaDEClustering: variational deep embedding (Jiang et al., 2017).

A VAE whose prior is a mixture of Gaussians: draw a cluster c ~ Cat(pi), a code z ~ N(mu_c, s_c^2),
a row x ~ p(x|z). Maximised is the evidence lower bound, eq. 12, with q(z, c|x) = q(z|x) gamma_c.

====================  ==========================================
in the paper          here
====================  ==========================================
x, z, c               ``x``, ``z``, a column
mu~, sigma~           ``mean``, ``std`` = ``encoder(x)``
pi, mu_c, sigma_c^2   ``prior.mixture``
gamma_c = q(c|x)      exp of ``log_resp``
J                     L, ``n_components``
====================  ==========================================
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sklearn.utils._param_validation import StrOptions
from torch import Tensor

from ._budget import Budget
from ._prior import PriorEstimator
from ._validation import Auto, LabelledClusterMixin
from .engine.runtime import store_parameters
from .functional import random
from .functional.gaussian import expected_log_joint, log_joint, log_prob_diag
from .modules.autoencoder import CodeGame, GaussianEncoder, evidence_bound
from .modules.game import Augmentation, Player
from .modules.networks import make_network
from .modules.prior import MixturePrior, PriorGame
from .modules.regularization import NO_REGULARIZER, Regularizer


class VaDE(PriorGame):
    """Variational deep embedding.

    Parameters
    ----------
    encoder : GaussianEncoder, (N, D) -> (N, L), (N, L)
    objective : {"optimal", "sampled", "published"}, default="optimal"
        Form of the divergence, see :meth:`divergence`.
    decoder, likelihood, prior, regularizer, masking
        As of :class:`~skdeepcluster.modules.prior.PriorGame`.
    """

    def __init__(
        self,
        encoder,
        decoder,
        likelihood,
        prior,
        objective="optimal",
        regularizer=NO_REGULARIZER,
        masking=0.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior, regularizer, masking)
        self.objective = objective
        if objective == "published":  # networks and mixture have one rate
            self.rates = CodeGame.rates

    def log_joint(self, posterior, mixture) -> Tensor:
        """Log pi_c - KL_c, whose softmax is the gamma that maximises eq. 12, (N, K)."""
        return expected_log_joint(*posterior, mixture)

    def divergence(self, mean, std, z, expected, mixture) -> Tensor:
        """KL(q(z, c|x) || p(z, c)) of each row, (N,), in one of three forms.

        ``expected`` (N, K) is log pi_c - KL_c.

        "optimal": at the gamma that maximises eq. 12.
        "sampled": with q(c|z) = p(c|z), on one z: log q(z|x) - log sum_c p(z, c).
        "published": eq. 12 with gamma_c = p(c|z) of one z, eq. 16.
        """
        if self.objective == "sampled":
            log_q = log_prob_diag(z, mean, 2 * std.log())
            return log_q - log_joint(z, mixture).logsumexp(-1)
        if self.objective == "optimal":
            return -expected.logsumexp(-1)
        log_gamma = log_joint(z, mixture).log_softmax(-1)
        return (log_gamma.exp() * (log_gamma - expected)).sum(-1)

    def optimal_divergence(self, mean, std) -> Tensor:
        """KL(q(z, c|x) || p(z, c)) at the best gamma, -log sum_c pi_c exp(-KL_c), (N,)."""
        return -expected_log_joint(mean, std, self.prior.mixture).logsumexp(-1)

    def loss(self, batch) -> dict[str, Tensor]:
        """Negative bound, eq. 12 with one sample of z, and the terms of the regularizer."""
        (seen, shown), mixture = self.observe(batch), self.prior.mixture
        posterior = self.encoder(shown)
        expected = self.log_joint(posterior, mixture)
        mean, std, own = (values[: len(seen)] for values in (*posterior, expected))
        z = mean + std * random.randn_like(std)
        terms = {
            "reconstruction": -self.log_prob(batch.x, z).mean(),
            "kl": self.divergence(mean, std, z, own, mixture).mean(),
        }
        return terms | self.regularize(seen, batch.anchor, expected, mixture)

    def criterion(self, x, noise=None) -> Tensor:
        """Bound at the best gamma, (N,), over noise (S, L) of the codes, else fixed points."""
        return evidence_bound(self, x, self.optimal_divergence, noise)

    def players(self) -> tuple[Player, ...]:
        """One player."""
        return (Player("vade", [self], self.loss),)


class VaDEClustering(LabelledClusterMixin, PriorEstimator):
    r"""Variational deep embedding: a variational auto-encoder with a Gaussian mixture as prior.

    Finds a first partition of the rows without labels, pretrains its networks as a denoising
    auto-encoder, and trains networks and mixture together.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of components of the prior. "auto": as many as
        :func:`~skdeepcluster.neighbors.count_clusters` finds in the standardised rows, or that of
        a partition given as ``init``.
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
    objective : {"optimal", "sampled", "published"}, default="optimal"
        How q(c|x) enters the bound. "optimal": at its maximiser, in closed form. "sampled": as
        p(c|z) under the expectation over z, a bound on the marginal of z. "published": p(c|z) of
        the one z drawn, as in the paper, and one learning rate for networks and prior. See the
        Notes.
    init : {"neighbors", "mixture"}, NeighborClustering or array-like, default="neighbors"
        Where the clusters come from. "neighbors": from the partition seen in a layout of the
        neighbour graph of the standardised rows (see
        :func:`~skdeepcluster.neighbors.neighbor_start`); training then begins with it as
        ``start_weight`` and ``smoothness_weight`` say. A :class:`NeighborClustering`: the same
        by its settings; a clone of it is fitted, with the ``n_clusters`` and ``random_state``
        given here. An array: the same from this partition, the cluster of each row or
        responsibilities of shape (n_samples, n_clusters). "mixture": from a mixture on the codes,
        the published way, without the two terms.
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
    start_weight : float, default=50.0
        Weight of the cross-entropy of the clusters to those of the start, which give way,
        linearly, to the model's own most probable ones (hard bootstrapping), unless
        init="mixture"; without it the clusters drift away from a good start. An addition of
        this package; 0 is the published objective.
    smoothness_weight : float, default=50.0
        Weight of the divergence between the clusters of a row and of its worst neighbour within
        a short step (virtual adversarial training), unless init="mixture". An
        addition of this package; 0 is the published objective and halves the cost of a step.
    masking : float, default=0.25
        Share of the features hidden from the encoder where rows are rebuilt, unless
        init="mixture"; the two terms above see rows as they are.
    mixture_n_init : int, default=10
        Starts of the mixture on the codes for init="mixture"; the likeliest is kept.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder over X. "auto" makes ``6 * sqrt(n_samples)`` steps.
    max_epochs : int or "auto", default="auto"
        Passes over X after pretraining. "auto" makes ``6 * sqrt(n_samples)`` steps.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW; the prior's is ten times as large, but for
        ``objective="published"``. "auto" is ``1e-3 * 500 / w``, w the width of the first hidden
        layer, at least 128.
    encoder : callable, default=None
        ``encoder(n_in, n_out)`` gives the encoder's network, ``n_out = 2 * n_components``. None:
        a perceptron of ``hidden_layer_sizes``.
    decoder : callable, default=None
        ``decoder(n_in, n_out)`` gives the decoder's network. None: the mirrored perceptron.
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
        Its clusters then replace those of the start.
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
    outlier_scores_ : ndarray of shape (n_samples,)
        Mahalanobis distance of each row to the nearest mean of a cluster, in standard deviations
        of rows about the means of their clusters: the larger, the farther from every cluster
        [3]_. By the covariance within clusters, with more than 1,000 features by its diagonal.
    offset_ : float
        Rows whose outlier score is greater than ``-offset_`` are noise.
    start_labels_ : ndarray of shape (n_samples,)
        Clusters at the start, numbered alike: what training added is the difference.
    moved_ : float
        Share of the rows whose cluster is not that of the start.
    weights_ : ndarray of shape (n_clusters,)
        Weights of the prior.
    means_, covariances_ : ndarray of shape (n_clusters, n_components)
        Its means and variances.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The means, decoded.
    model_ : VaDE
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row
        "vade_reconstruction", "vade_kl", and, weighted, "vade_start" and "vade_smoothness".
    n_clusters_ : int
        Number of clusters.
    n_clusters_curve_ : Bunch
        With ``n_clusters="auto"`` only: the arrays that
        :func:`~skdeepcluster.neighbors.count_clusters` returns.
    n_iter_ : int
        Epochs trained, without pretraining.
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
    pretraining_epochs_ : int
        As given or as "auto" chose; 0 where this fit trained no auto-encoder.
    device_, precision_ : str
        As given or as "auto" chose.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    VAEEmbedding : The same without the mixture in training.
    GaussianMixtureEM : The mixture without networks.

    Notes
    -----
    The objective is the evidence lower bound of the paper, eq. 12 [1]_,

    .. math::

        L(x) = E_q[\log p(x|z)] - \sum_c \gamma_c KL(q(z|x) \,\|\, p(z|c)) - KL(\gamma \,\|\, \pi).

    Its maximum over :math:`\gamma` is at :math:`\gamma_c \propto \pi_c \exp(-KL_c)`, where the
    last two terms are :math:`\log \sum_c \pi_c \exp(-KL_c)`. This is the "optimal" objective, and
    ``predict_proba`` is this :math:`\gamma` whatever the objective: it depends on the row alone.

    A higher bound does not mean better clusters: training by the bound alone leaves good
    partitions for likelier ones. The two terms against this, and the neighbour start, are
    additions of this package. ``score`` is the bound in the units of X, without them. It compares
    fits by how well they describe the rows, not by how well they cluster them.

    With a neighbour start, training moves few rows: on eleven sets it ends within some thousandths
    of the start's accuracy, mostly above it on texts and on MNIST; of clusters along curves, such
    as spirals, it may lose a part (benchmarks/RESULTS.md, "What networks add to their starts").
    What the model adds is the density, the codes and rows drawn from clusters.

    References
    ----------
    .. [1] Z. Jiang, Y. Zheng, H. Tan, B. Tang, H. Zhou, "Variational Deep Embedding: An
       Unsupervised and Generative Approach to Clustering", IJCAI 2017, arXiv:1611.05148.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018, for the smoothness.
    .. [3] K. Lee, K. Lee, H. Lee, J. Shin, "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018 (the outlier score).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VaDEClustering
    >>> X = load_iris().data
    >>> vade = VaDEClustering(3, n_components=2, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> vade.predict_proba(X).shape
    (150, 3)
    >>> vade.sample(5, cluster=1, min_confidence=0.9).shape
    (5, 4)
    >>> between = vade.transform(X[:2]).mean(0, keepdims=True)
    >>> vade.inverse_transform(between).shape
    (1, 4)
    """

    _parameter_constraints = {
        **PriorEstimator._parameter_constraints,
        "objective": [StrOptions({"optimal", "sampled", "published"})],
    }

    _budget = Budget(rate=1e-3, steps=6, cost=2.7)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        objective="optimal",
        init: Any = "neighbors",
        metric: str | Callable[..., float] = "euclidean",
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        start_weight=50.0,
        smoothness_weight=50.0,
        masking=0.25,
        mixture_n_init=10,
        pretraining_epochs: int | Auto = "auto",
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        encoder=None,
        decoder=None,
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
        return VaDE(
            GaussianEncoder(make("encoder", self.encoder, n_features, 2 * self.n_components)),
            make("decoder", self.decoder, self.n_components, n_features),
            likelihood,
            MixturePrior(self._count_clusters(), self.n_components),
            self.objective,
            Regularizer(self.start_weight, self.smoothness_weight, own_share=1.0),
            self.masking,
        )

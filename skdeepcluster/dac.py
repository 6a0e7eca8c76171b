r"""DACClustering: deep adversarial Gaussian mixture auto-encoder (Harchaoui et al., 2017).

An auto-encoder whose codes follow a mixture of Gaussians, by likelihood and by an adversary who
tells codes from draws of the mixture. Three losses, minimised together::

    reconstruction   -E_x log p(x | G(E(x)))
    mixture          -E_x log sum_k pi_k N(E(x); mu_k, s_k^2)
    adversarial      critic A:  E_z softplus(-A(z)) + E_x softplus(A(E(x))),  z from the mixture
                     encoder:   E_x softplus(-A(E(x)))

====================  ==========================================
in the paper          here
====================  ==========================================
x, z                  ``x``, ``code``
E, G, A               ``encoder``, ``decoder``, ``critic``
pi, mu_k, Sigma_k     ``prior.mixture``, diagonal
====================  ==========================================
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from torch import Tensor

from ._budget import Budget
from ._prior import PriorEstimator
from ._validation import Auto, LabelledClusterMixin
from .engine.runtime import store_parameters
from .functional.gaussian import log_joint
from .functional.losses import called_fake, called_real
from .modules.autoencoder import PointEncoder
from .modules.game import Augmentation, Player
from .modules.networks import make_network
from .modules.prior import MixturePrior, PriorGame
from .modules.regularization import NO_REGULARIZER, Regularizer

#: Smallest variance of the mixture, relative to its mean variance at the start.
FLOOR = 0.01
#: Separation of the mixture's components below which codes have shrunk onto each other.
LEAST_SEPARATION = 0.1


class DAC(PriorGame):
    """Deep adversarial Gaussian mixture auto-encoder.

    Three players: critic, mixture (fitted to the codes) and auto-encoder (whose codes are trained
    towards the mixture).

    Parameters
    ----------
    encoder : PointEncoder, (N, D) -> (N, L)
    critic : Module, (N, L) -> (N, 1)
        Takes codes that are standardised by the mixture.
    weights : (float, float, float), default=(1.0, 1.0, 1.0)
        Of reconstruction, mixture and adversarial loss, in the auto-encoder's loss.
    decoder, likelihood, prior, regularizer, masking
        As of :class:`~skdeepcluster.modules.prior.PriorGame`.
    """

    def __init__(
        self,
        encoder,
        decoder,
        critic,
        likelihood,
        prior,
        weights=(1.0, 1.0, 1.0),
        regularizer=NO_REGULARIZER,
        masking=0.0,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, prior, regularizer, masking)
        self.critic = critic
        self.weights = weights

    def log_joint(self, code, mixture) -> Tensor:
        """Log p(E(x), k), (N, K)."""
        return log_joint(code, mixture)

    def criterion(self, x) -> Tensor:
        """Log p(x | G(z)) + log p(z) at z = E(x), (N,)."""
        code = self.encode(x)
        log_z = log_joint(code, self.prior.mixture).logsumexp(-1)
        return self.log_prob(x, code).double() + log_z.double()

    def critic_loss(self, batch) -> dict[str, Tensor]:
        """Cross-entropies of telling draws of the mixture ("real") from codes ("fake")."""
        with torch.no_grad():
            mixture, code = self.prior.mixture, self.encode(batch.x)
            drawn = self.prior.draw(mixture, len(batch.x))
        real, fake = self.judge(torch.cat([drawn, code]), mixture).chunk(2)
        return {"mixture": called_real(real), "codes": called_fake(fake)}

    def judge(self, code, mixture) -> Tensor:
        """Logits of "drawn from the mixture", (N, 1)."""
        return self.critic(self.prior.whiten(mixture, code))

    def mixture_loss(self, batch) -> dict[str, Tensor]:
        """Negative log-likelihood of the codes, without gradient to the encoder."""
        with torch.no_grad():
            code = self.encode(batch.x)
        return {"codes": -log_joint(code, self.prior.mixture).logsumexp(-1).mean()}

    def loss(self, batch) -> dict[str, Tensor]:
        """Three weighted losses, and the terms of the regularizer."""
        (seen, shown), mixture = self.observe(batch), self.prior.mixture
        codes = self.encoder(shown)
        joint = self.log_joint(codes, mixture)
        code, own = codes[: len(seen)], joint[: len(seen)]
        losses = {
            "reconstruction": -self.log_prob(batch.x, code).mean(),
            "mixture": -own.logsumexp(-1).mean(),
            "adversarial": called_real(self.judge(code, mixture)),
        }
        terms = {n: w * loss for w, (n, loss) in zip(self.weights, losses.items(), strict=True)}
        return terms | self.regularize(seen, batch.anchor, joint, mixture)

    def players(self) -> tuple[Player, ...]:
        """Critic, mixture, auto-encoder."""
        return (
            Player("critic", [self.critic], self.critic_loss),
            Player("mixture", [self.prior], self.mixture_loss),
            Player("autoencoder", [self.encoder, self.decoder, self.likelihood], self.loss),
        )


class DACClustering(LabelledClusterMixin, PriorEstimator):
    r"""Deep adversarial Gaussian mixture auto-encoder.

    Finds a first partition of the rows without labels, pretrains its networks as a denoising
    auto-encoder, and trains networks and mixture together, with an adversary who tells codes
    from draws of the mixture.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of components of the mixture. "auto": as many as
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
    reconstruction_weight : float, default=1.0
        Weight of the reconstruction loss.
    mixture_weight : float, default=1.0
        Weight of the codes' negative log-likelihood by the mixture, in the encoder's loss.
    adversarial_weight : float, default=1.0
        Weight of the encoder's loss against the critic.
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
        Weight of the cross-entropy of the clusters to those of the start, unless
        init="mixture"; without it the clusters drift away from a good start. An addition of
        this package; 0 is the published objective.
    smoothness_weight : float, default=10.0
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
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes over X after pretraining. "auto" makes ``6 * sqrt(n_samples)`` steps.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW; the prior's is ten times as large. "auto" is
        ``5e-4 * 500 / w``, w the width of the first hidden layer,
        at least 128.
    encoder : callable, default=None
        ``encoder(n_in, n_out)`` gives the encoder's network, ``n_out = n_components``. None: a
        perceptron of ``hidden_layer_sizes``.
    decoder : callable, default=None
        ``decoder(n_in, n_out)`` gives the decoder's network. None: the mirrored perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, 1)`` gives the critic of codes, ``n_in = n_components``. None: a
        perceptron of the first two of ``hidden_layer_sizes``.
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
    compile : bool, default=False
        Compile the loss with ``torch.compile``; needs a C++ compiler, seldom pays on a CPU.
    callbacks : list of skorch callbacks, default=None
        For instance ``[EarlyStopping(monitor="train_loss")]``; not copied, not for pretraining.
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
        1 shows one progress bar over all phases with the time left, 2 a table with a line per
        epoch. 0 only logs the estimated time of a fit that takes over a minute, as INFO of the
        logger "skdeepcluster".
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
        Weights of the mixture.
    means_, covariances_ : ndarray of shape (n_clusters, n_components)
        Its means and variances.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        The means, decoded.
    model_ : DAC
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row, as
        weighted, "autoencoder_reconstruction", "autoencoder_mixture", "autoencoder_adversarial",
        "autoencoder_start", "autoencoder_smoothness", "critic_mixture", "critic_codes" and
        "mixture_codes".
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
    VaDEClustering : The variational relative.
    ClusterEnsemble : Consensus of several fits (DAC EC in the paper).

    Notes
    -----
    Encoder E and decoder G minimise the weighted sum of [1]_

    .. math::

        -E_x \log p(x | G(E(x))), \quad -E_x \log \sum_k \pi_k N(E(x); \mu_k, \Sigma_k), \quad
        E_x \mathrm{softplus}(-A(E(x)));

    the mixture follows the codes by likelihood, and the critic A learns to tell draws of the
    mixture from codes. Likelihood alone would let codes and mixture collapse to points: variances
    of the mixture stay above a hundredth of those at the start, and the adversarial loss is
    smallest for codes distributed as the mixture is. Without a neighbour start, as published,
    codes may shrink all the same when training is long, until all variances are at that floor
    and clusters get lost; ``fit`` warns of it.

    ``score`` is the mean of log p(x | G(z)) + log p(z) at z = E(x). It is not a bound, and depends
    on the scale of the codes: it compares fits of one kind.

    With a neighbour start, training moves few rows: on eleven sets accuracies are those of the
    start up to some thousandths; of clusters along curves, such as spirals, a part may be lost
    (benchmarks/RESULTS.md, "What networks add to their starts"). What the model adds are codes
    without noise that follow a mixture, and rows drawn from clusters.

    References
    ----------
    .. [1] W. Harchaoui, P.-A. Mattei, C. Bouveyron, "Deep Adversarial Gaussian Mixture
       Auto-Encoder for Clustering", ICLR workshop 2017.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018, for the smoothness.
    .. [3] K. Lee, K. Lee, H. Lee, J. Shin, "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018 (the outlier score).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import DACClustering
    >>> X = load_iris().data
    >>> dac = DACClustering(3, n_components=2, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> dac.predict_proba(X).shape
    (150, 3)
    >>> dac.sample(5, cluster=1, min_confidence=0.9).shape
    (5, 4)
    """

    _parameter_constraints = {
        **PriorEstimator._parameter_constraints,
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "mixture_weight": [Interval(Real, 0, None, closed="left")],
        "adversarial_weight": [Interval(Real, 0, None, closed="left")],
        "discriminator": [callable, None],
    }

    _budget = Budget(rate=5e-4, steps=6, cost=3.2)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        reconstruction_weight=1.0,
        mixture_weight=1.0,
        adversarial_weight=1.0,
        init: Any = "neighbors",
        metric: str | Callable[..., float] = "euclidean",
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        start_weight=50.0,
        smoothness_weight=10.0,
        masking=0.25,
        mixture_n_init=10,
        pretraining_epochs: int | Auto = "auto",
        pretraining_learning_rate=2e-3,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        encoder=None,
        decoder=None,
        discriminator=None,
        batch_size: int | Auto = "auto",
        n_init=1,
        augment: Augmentation | None = None,
        precision="float32",
        compile=False,
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
        return DAC(
            PointEncoder(make("encoder", self.encoder, n_features, self.n_components)),
            make("decoder", self.decoder, self.n_components, n_features),
            make("discriminator", self.discriminator, self.n_components, 1),
            likelihood,
            MixturePrior(self._count_clusters(), self.n_components, FLOOR),
            (self.reconstruction_weight, self.mixture_weight, self.adversarial_weight),
            Regularizer(self.start_weight, self.smoothness_weight),
            self.masking,
        )

    def _set_fitted_attributes(self, run, fit):
        super()._set_fitted_attributes(run, fit)
        separation = run.model.prior.separation()
        # A single cluster is warned of as such.
        if separation < LEAST_SEPARATION and np.ptp(self.labels_):
            warnings.warn(
                "The codes have shrunk until clusters run into each other: the means of the "
                f"mixture make up {separation:.1%} of the variance of a code, at most. Train "
                "shorter (max_epochs), lower mixture_weight, or hold the clusters to a start "
                "(init='neighbors', start_weight).",
                ConvergenceWarning,
                stacklevel=4,
            )

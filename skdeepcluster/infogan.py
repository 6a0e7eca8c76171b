r"""InfoGANClustering: a GAN whose codes can be read back (Chen et al., 2016).

Generator G makes rows from noise z and codes c; a discriminator D tells them from real ones, and
Q, which shares all of D but the last layers, reads the codes back. On logits l, D minimises
softplus(-l_real) + softplus(l_fake), G softplus(-l_fake), and both -lambda L_I, a bound on the
mutual information of codes and generated rows. Clusters of real rows are argmax_c Q(c | x).

============  ======================================================
in the paper  here
============  ======================================================
G             ``generator``
D             ``critic`` of ``body``
Q             ``reader`` of ``body``
z             ``Codes.noise``
c             ``Codes.categories``, ``Codes.continuous``
lambda        ``mi_weight``
============  ======================================================
"""

import copy
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import Interval
from sklearn.utils.extmath import randomized_svd, svd_flip
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ._adversarial import FAR, FEW, AdversarialEstimator
from ._base import DeepEstimator, EmbeddingMixin
from ._budget import Budget
from ._disentanglement import report
from ._initialization import ADVERSARIAL_CONSTRAINTS
from ._responsibilities import cluster_means
from ._typing import Reals
from ._validation import Auto, LabelledClusterMixin
from .engine.batches import batches, map_rows
from .engine.isolation import seeded
from .engine.runtime import draw_seed, random_stream, store_parameters
from .functional import random
from .functional.losses import called_fake, called_real
from .modules.game import AdversarialGame, Augmentation, Player
from .modules.latent import Codes, LatentSpace, Reading
from .modules.networks import (
    ACTIVATIONS,
    build_network,
    check_widths,
    mlp,
    normalised_mlp,
    recalibrate_batch_norm,
)
from .modules.regularization import NO_REGULARIZER, Regularizer

#: Width of the hidden layer of Q's own part, as in the paper.
READER_WIDTH = 128
#: Weight of the clusters that Q reads in the target of the start term at the end of training.
OWN_SHARE = 0.5
#: Values of a continuous code that ``traverse`` goes through, as in the paper.
SWEEP = np.linspace(-2, 2, 9)
#: Matrix elements (rows times features) of the subsample from which principal directions come.
STYLE_ELEMENTS = 2**22
#: Fewest rows of that subsample, however many features they have.
STYLE_ROWS = 256
#: Noise variables that stand for principal directions in the reconstruction. Ranks along more of
#: them, drawn independently, seldom occur together in a row.
NOISE_DIRECTIONS = 8


class InfoGAN(AdversarialGame):
    """Information maximising generative adversarial network.

    Parameters
    ----------
    generator : Module, (N, latent.n_inputs) -> (N, D)
    body : Module, (N, D) -> (N, H)
        What D and Q share.
    critic : Module, (N, H) -> (N, 1)
        Logits of "real".
    reader : Module, (N, H) -> (N, latent.n_readings)
        Q's own layers.
    latent : LatentSpace
    likelihood : Likelihood
        What the generator's output means; networks see standardised rows.
    mi_weight, continuous_weight, instance_noise, style_weight, reconstruction_weight : float
        As of :class:`InfoGANClustering`, with other defaults.
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that hold Q on real rows to an anchor; none by default.
    """

    def __init__(
        self,
        generator,
        body,
        critic,
        reader,
        latent,
        likelihood,
        mi_weight=1.0,
        continuous_weight=1.0,
        instance_noise=0.0,
        style_weight=0.0,
        reconstruction_weight=0.0,
        regularizer=NO_REGULARIZER,
    ) -> None:
        super().__init__(likelihood, latent.sizes[0])
        self.generator, self.body, self.critic, self.reader = generator, body, critic, reader
        self.latent, self.regularizer = latent, regularizer
        self.mi_weight, self.continuous_weight = mi_weight, continuous_weight
        self.instance_noise, self.style_weight = instance_noise, style_weight
        self.reconstruction_weight = reconstruction_weight
        self.register_buffer("log_prior", self.log_marginal.clone())

    # ---- answers

    def read_standardized(self, seen) -> Reading:
        """Q(c|x) of standardised rows, as a Reading."""
        return self.latent.read(self.reader(self.body(seen)))

    def read(self, x) -> Reading:
        """Q(c|x) of rows, as a Reading."""
        return self.read_standardized(self.standardize(x))

    def log_resp_standardized(self, seen) -> Tensor:
        """Log Q(k|x) of the cluster, (N, K)."""
        return self.read_standardized(seen).log_probs[0]

    def encode(self, x) -> Tensor:
        """Posterior of all codes: probabilities of the categories, continuous means."""
        reading = self.read(x)
        return torch.cat([*(log_p.exp() for log_p in reading.log_probs), reading.mean], 1)

    def decode(self, code) -> Tensor:
        """Rows for codes in the layout of ``encode``, at noise zero, in the units of the data."""
        noise = code.new_zeros(len(code), self.latent.n_noise)
        return self.render(torch.cat([noise, code], 1))

    def render(self, inputs) -> Tensor:
        """Rows for inputs (N, latent.n_inputs) of the generator, in the units of the data."""
        return self.likelihood.mean(self.generator(inputs))

    def render_standardized(self, codes) -> Tensor:
        """Standardised rows for Codes, (N, D)."""
        return self.likelihood.standardized_mean(self.generator(self.latent.inputs(codes)))

    def fitted_attributes(self) -> dict[str, Any]:
        """Names of the codes, and the probabilities with which clusters are drawn."""
        others = [f"category{a}" for a in range(1, len(self.latent.sizes))]
        continuous = [f"continuous{j}" for j in range(self.latent.n_continuous)]
        return {"code_names_": ["cluster", *others, *continuous], "weights_": self.log_prior.exp()}

    # ---- losses

    def discriminator_loss(self, batch) -> dict[str, Tensor]:
        """D's cross-entropies on real and generated rows, -lambda L_I, and the regularizer."""
        seen = self.standardize(batch.x)
        with torch.no_grad():
            fake, codes = self.generate(len(batch.x))
        real_hidden = self.body(self.add_noise(seen))
        fake_hidden = self.body(self.add_noise(fake))
        terms = {
            "real": called_real(self.critic(real_hidden)),
            "fake": called_fake(self.critic(fake_hidden)),
        }
        if not self.mi_weight:
            fake_hidden = fake_hidden.detach()
        terms |= self.information_loss(fake_hidden, codes, self.mi_weight or 1.0)
        return terms if batch.anchor is None else terms | self.hold(seen, batch)

    def hold(self, seen, batch) -> dict[str, Tensor]:
        """Terms of the regularizer, and of Q's reading of the style of real rows."""
        reading = self.read_standardized(seen)
        terms = self.regularizer.terms(
            self.log_resp_standardized,
            seen,
            batch.anchor,
            reading.log_probs[0],
            self.progress,
        )
        if self.style_weight and batch.style is not None:
            style = batch.style[:, : self.latent.n_continuous]
            if style.shape[1]:
                terms["style"] = self.style_weight * self.latent.continuous_loss(reading, style)
        return terms

    def generator_loss(self, batch) -> dict[str, Tensor]:
        """G's non-saturating loss -log D(G), and -lambda L_I."""
        fake, codes = self.generate(len(batch.x))
        hidden = self.body(self.add_noise(fake))
        terms = {"adversarial": called_real(self.critic(hidden))}
        if self.mi_weight:
            terms |= self.information_loss(hidden, codes, self.mi_weight)
        if self.reconstruction_weight and batch.anchor is not None:
            weight = self.reconstruction_weight * (1 - self.progress)
            terms["reconstruction"] = weight * self.reconstruction_loss(batch)
        return terms

    def reconstruction_loss(self, batch) -> Tensor:
        """Mean squared error, in standardised units, of rows generated from codes of real rows.

        These are the clusters of the anchor, and of the style first the continuous codes, then
        noise variables; what has no value in a real row is drawn.
        """
        codes = self.latent.draw(len(batch.x), self.log_prior)
        codes.categories[:, 0] = batch.anchor.argmax(1)
        if batch.style is not None:
            style, noise = batch.style.tensor_split([self.latent.n_continuous], 1)
            codes.continuous[:, : style.shape[1]] = style
            codes.noise[:, : noise.shape[1]] = noise
        return mse_loss(self.render_standardized(codes), self.standardize(batch.x))

    def generate(self, n_rows) -> tuple[Tensor, Codes]:
        """Draw codes; return standardised rows (N, D) generated from them, and the codes."""
        codes = self.latent.draw(n_rows, self.log_prior)
        return self.render_standardized(codes), codes

    def add_noise(self, seen) -> Tensor:
        """Add instance noise to standardised rows."""
        if not self.instance_noise:
            return seen
        return seen + self.instance_noise * random.randn_like(seen)

    def information_loss(self, hidden, codes, weight) -> dict[str, Tensor]:
        """Weighted losses of Q's reading of the codes: -lambda L_I without the constant H(c)."""
        losses = self.latent.reading_loss(self.latent.read(self.reader(hidden)), codes)
        weights = {"category": weight, "continuous": weight * self.continuous_weight}
        return {name: weights[name] * loss for name, loss in losses.items()}

    def players(self) -> tuple[Player, ...]:
        """Discriminator (with Q), generator."""
        own = [self.body, self.critic, self.reader]
        return (
            Player("discriminator", own, self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


class InfoGANClustering(LabelledClusterMixin, EmbeddingMixin, AdversarialEstimator):
    r"""Information maximising generative adversarial network (InfoGAN).

    A generator makes rows from noise and codes, a discriminator judges them, and Q, which shares
    the discriminator's body, reads the codes back. One code has ``n_clusters`` values: what Q
    reads in a real row is its cluster. Other codes describe what else varies.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Values of the categorical code that is the cluster. "auto": as many as
        :func:`~skdeepcluster.neighbors.count_clusters` finds in the standardised rows, or that of
        a partition given as ``init``.
    n_noise : int, default=62
        Noise variables of the generator, uniform on [-1, 1].
    n_continuous : int, default=2
        Continuous codes, uniform on [-1, 1].
    other_categories : array-like of int, default=()
        Numbers of values of further categorical codes.
    n_components : int, default=10
        Size of the code of the auto-encoder, if ``pretraining_epochs`` asks for one.
    hidden_layer_sizes : array-like of int or "auto", default="auto"
        Widths of that auto-encoder's hidden layers. "auto": (w, w, 4 w) with
        w = 500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1)^(1/4), at least 128.
        The first two are those of the discriminator's body, and in reverse those of the
        generator, which has batch normalisation.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the discriminator and of Q.
    likelihood : {"auto", "bernoulli", "gaussian"}, dict or ColumnLikelihood, default="auto"
        What the generator's output means: "bernoulli", for data in [0, 1], logits of the features;
        "gaussian", features that are scaled inside. "auto" takes "bernoulli" for data in [0, 1]
        whose variance is at least a hundredth of that of zeros and ones with the same means, else
        "gaussian". A dict names the columns of each likelihood, every column once, by indices or
        by the names of a DataFrame, and categories by their groups of one-hot columns:
        ``{"gaussian": [0, 1], "bernoulli": [2], "categorical": [[3, 4], [5, 6]]}``; a
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
    mi_weight : float, default=1.0
        Weight lambda of the information term. At 0 Q is trained, but not generator and
        discriminator with it: the paper's comparison, with ``init=None`` a plain GAN.
    continuous_weight : float, default=0.5
        Weight of continuous codes within the information term, since they are worth more nats.
    instance_noise : float, default=0.1
        Standard deviation of noise on what the discriminator judges and Q reads, in the units of
        "bernoulli" data or of standardised features. An addition of this package; 0 is the
        published objective.
    init : {"neighbors", "mixture"}, NeighborClustering, array-like, None, default="neighbors"
        Where the clusters come from. "neighbors": from the partition seen in a layout of the
        neighbour graph of the standardised rows (see
        :func:`~skdeepcluster.neighbors.neighbor_start`); training then begins with it as
        ``start_weight``, ``smoothness_weight``, ``style_weight`` and ``reconstruction_weight``
        say, and draws clusters in its shares. A :class:`NeighborClustering`: the same by its
        settings; a clone of it is fitted, with the ``n_clusters`` and ``random_state`` given
        here. "mixture": the same from a mixture on the rows. With ``pretraining_epochs`` the
        codes of a denoising auto-encoder, which is thrown away, stand for the rows. An array:
        from this partition, the cluster of each row or responsibilities of shape
        (n_samples, n_clusters). None: from scratch, the published way, without the four terms.
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
        follows the labels (see :func:`~skdeepcluster.neighbors.neighbor_start`; in an array given
        as ``init`` only the labelled rows change), and in training labelled rows are held to
        their clusters as all are to the start, by ``start_weight``. The network answers:
        ``labels_`` and ``predict`` need not be the labels. Not with init=None.
    start_weight : float, default=20.0
        Weight of the cross-entropy of Q on real rows to the clusters of the start, half of which
        give way, linearly, to those that Q reads (hard bootstrapping). An addition of this
        package.
    smoothness_weight : float, default=20.0
        Weight of the divergence between the clusters that Q reads in a real row and in its worst
        neighbour within a short step (virtual adversarial training). An addition of this
        package.
    style_weight : float, default=1.0
        Weight of the negative log-likelihood, by Q on real rows, of continuous codes that are the
        ranks of the rows along the principal directions of their differences within clusters. An
        addition of this package; at 0, and without ``reconstruction_weight``, continuous codes
        find what they stand for by themselves.
    reconstruction_weight : float, default=100.0
        Weight of the mean squared error, in the units of "bernoulli" data or of standardised
        features, of rows that the generator makes from the codes of real ones: their clusters at
        the start, and their ranks along principal directions, which are the continuous codes
        and 8 noise variables. Fades linearly to 0. An addition of this package: a generator that
        only an adversary teaches takes far more steps.
    mixture_n_init : int, default=10
        Starts of the mixture on the codes for init="mixture"; the likeliest is kept.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder over X; "auto" and 0: none, the standardised rows
        are divided as they are.
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes over X after pretraining. "auto" makes ``10 * sqrt(n_samples)`` steps, or 10 for
        each cluster if these are more.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW, of discriminator and Q. "auto" is
        ``2e-3 * 500 / w``, w the width of the first hidden layer,
        at least 128.
    generator_learning_rate : float, default=1e-2
        The generator's.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives the generator's network, ``n_in`` the number of noise
        variables, values of categories and continuous codes. None: a perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives the body that the discriminator shares with Q,
        ``n_out`` the second of ``hidden_layer_sizes``; an activation and the layers of each
        follow. None: a perceptron. ``skdeepcluster.modules.networks`` has the paper's
        convolutional pair.
    batch_size : int or "auto", default="auto"
        Rows in a step, at least 2 and at most ``n_samples``. "auto" is sqrt(n_samples), from 32
        to 256.
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
    start_labels_ : ndarray of shape (n_samples,) or None
        Clusters at the start, numbered alike: what training added is the difference. None with
        init=None.
    moved_ : float or None
        Share of the rows whose cluster is not that of the start.
    code_names_ : list of str
        "cluster", then "category1", ... and "continuous0", ...: what :meth:`sample`,
        :meth:`traverse` and :meth:`code_report` call the codes.
    weights_ : ndarray of shape (n_clusters,)
        Shares in which clusters were drawn: those of the start, or equal ones.
    generator_distance_ : float
        How far the rows that the generator draws are from X, by their median distance to the
        nearest row, with standardised features: 0 is as near as rows of X are to each other, 1 as
        far as any two rows of X. Above 1/3 the fit gives a ConvergenceWarning: what
        :meth:`sample` draws does not look like X, and :meth:`code_report` is about such rows.
        By up to 1,000 rows drawn, and as many of X.
    generator_coverage_ : float
        Share of the clusters of these rows of X into which drawn rows fall, by Q; below 0.5 the
        fit gives the same warning.
    model_ : InfoGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row, as
        weighted, "discriminator_real", "discriminator_fake", "discriminator_category",
        "discriminator_continuous", "discriminator_start", "discriminator_smoothness",
        "discriminator_style", "generator_adversarial", "generator_category",
        "generator_continuous" and "generator_reconstruction" (no nats: a squared error).
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
    VaDEClustering : Clusters and a density; no adversary.
    skdeepcluster.display.TraversalDisplay : What the codes change, as a picture.

    Notes
    -----
    The game is [1]_

    .. math::

        \min_{G, Q} \max_D V(D, G) - \lambda L_I(G, Q), \quad
        L_I = E_{c, x \sim G(z, c)}[\log Q(c | x)] + H(c) \leq I(c; G(z, c))

    with the generator's loss -log D(G) and the information term in the losses of both players,
    because Q shares the discriminator's body. In the paper Q is trained on generated rows only;
    its clusters of real rows then often follow stroke width and slant. Three terms of this package
    train Q on real rows; the fourth, the reconstruction, trains the generator on them, since the
    steps that give clusters are too few for an adversary to teach it. If the discriminator has
    batch normalisation, its running statistics are recomputed from real rows after training.

    The published way is ``init=None, instance_noise=0, continuous_weight=0.1,
    learning_rate=2e-4, generator_learning_rate=1e-3`` and the convolutional pair.

    With a neighbour start, clusters are nearly those of the start on tables, and slightly better
    on MNIST and texts (benchmarks/RESULTS.md, "What networks add to their starts"). What the model
    adds is what else varies: the continuous codes, and rows drawn by code.

    References
    ----------
    .. [1] X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel, "InfoGAN:
       Interpretable Representation Learning by Information Maximizing Generative Adversarial
       Nets", NeurIPS 2016.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018, for the smoothness.
    .. [3] K. Lee, K. Lee, H. Lee, J. Shin, "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018 (the outlier score).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import InfoGANClustering
    >>> X = load_iris().data
    >>> gan = InfoGANClustering(3, n_noise=4, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> gan.predict_proba(X).shape
    (150, 3)
    >>> gan.code_names_
    ['cluster', 'continuous0', 'continuous1']
    >>> gan.traverse("continuous0", [-1, 0, 1], cluster=2).shape
    (1, 3, 4)
    """

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **ADVERSARIAL_CONSTRAINTS,
        "n_noise": [Interval(Integral, 0, None, closed="left")],
        "n_continuous": [Interval(Integral, 0, None, closed="left")],
        "other_categories": ["array-like"],
        "mi_weight": [Interval(Real, 0, None, closed="left")],
        "continuous_weight": [Interval(Real, 0, None, closed="left")],
        "style_weight": [Interval(Real, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "instance_noise": [Interval(Real, 0, None, closed="left")],
        "generator_learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    _budget = Budget(rate=2e-3, steps=10, cost=2.2, counts_clusters=True)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_noise=62,
        n_continuous=2,
        other_categories: Sequence[int] = (),
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="leaky_relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        mi_weight=1.0,
        continuous_weight=0.5,
        instance_noise=0.1,
        init: Any = "neighbors",
        metric: str | Callable[..., float] = "euclidean",
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        start_weight=20.0,
        smoothness_weight=20.0,
        style_weight=1.0,
        reconstruction_weight=100.0,
        mixture_n_init=10,
        pretraining_epochs: int | Auto = "auto",
        pretraining_learning_rate=2e-3,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        generator_learning_rate=1e-2,
        generator=None,
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
        widths = self._widths()[:2]
        sizes = check_widths("other_categories", self.other_categories)
        latent = LatentSpace(self.n_noise, [self._count_clusters(), *sizes], self.n_continuous)
        generator = self.generator or partial(
            normalised_mlp, hidden_layer_sizes=widths[::-1], activation="relu"
        )
        n_hidden = widths[-1] if widths else n_features
        body = self.discriminator or partial(
            mlp, hidden_layer_sizes=widths[:-1], activation=self.activation
        )
        model = InfoGAN(
            build_network("generator", generator, latent.n_inputs, n_features),
            nn.Sequential(
                build_network("discriminator", body, n_features, n_hidden),
                ACTIVATIONS[self.activation](),
            ),
            mlp(n_hidden, 1, ()),
            mlp(n_hidden, latent.n_readings, (READER_WIDTH,), self.activation),
            latent,
            likelihood,
            self.mi_weight,
            self.continuous_weight,
            self.instance_noise,
            self.style_weight,
            self.reconstruction_weight,
            Regularizer(self.start_weight, self.smoothness_weight, OWN_SHARE),
        )
        model.rates = {"generator.*": self.generator_learning_rate / self._choose_learning_rate()}
        return model

    def _initialize(self, model, fit, is_new):
        start = super()._initialize(model, fit, is_new)
        if start.anchor is None:
            return start
        if is_new:
            shares = torch.as_tensor(start.anchor.mean(0, dtype="float64"))
            model.log_prior.copy_(shares.log().log_softmax(0))
        n_codes = self.n_continuous + min(self.n_noise, NOISE_DIRECTIONS)
        standardize = copy.deepcopy(model.likelihood).cpu().standardize
        style = find_style(standardize, fit.X, start.anchor, n_codes, fit.random_state)
        if not is_new:
            own = style[:, : self.n_continuous]
            own[:] = self._apply(model, lambda x: model.read(x).mean, fit.X)[:, : own.shape[1]]
        return start._replace(style=style)

    def _after_training(self, model, fit, start):
        blocks = batches(fit.X, max(2, self._choose_batch_size(fit.X)))
        seen = (model.likelihood.standardize(x.to(fit.device)) for x in blocks if len(x) > 1)
        recalibrate_batch_norm(model.body, seen)
        super()._after_training(model, fit, start)

    def _set_fitted_attributes(self, run, fit):
        super()._set_fitted_attributes(run, fit)
        if self.generator_distance_ > FAR or self.generator_coverage_ < FEW:
            warnings.warn(
                "The generator has not learnt to draw rows like those of X: generator_distance_ = "
                f"{self.generator_distance_:.2f} (0 is as near as rows of X to each other, 1 as "
                f"far as any two of them), and they fall into {self.generator_coverage_:.0%} of "
                "their clusters. Train longer (max_epochs), raise reconstruction_weight or "
                "generator_learning_rate, or do without sample, traverse and code_report: "
                "labels_ do not depend on what is drawn.",
                ConvergenceWarning,
                stacklevel=4,
            )

    # ---- answers

    def get_feature_names_out(self, input_features=None) -> npt.NDArray[Any]:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the features seen in fit; the names of codes do not depend on it.

        Returns
        -------
        names : ndarray of str
            "cluster_0", ..., "category1_0", ..., "continuous0", ...
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        latent = self.model_.latent
        categories = zip(self.code_names_, latent.sizes, strict=False)
        names = [f"{name}_{value}" for name, size in categories for value in range(size)]
        return np.array([*names, *self.code_names_[len(latent.sizes) :]], dtype=object)

    def sample(self, n_samples: int = 1, cluster: int | None = None, codes=None) -> Reals:
        """Generate rows from drawn noise and codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        cluster : int, default=None
            Of this cluster only. None: of all, by their weights.
        codes : mapping of str to number or array of shape (n_samples,), default=None
            Values of further codes by their names in ``code_names_``; those not given are drawn.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the training data. An int ``random_state`` draws the same rows on
            every call.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeepcluster import InfoGANClustering
        >>> gan = InfoGANClustering(3, hidden_layer_sizes=(16,), n_noise=4, random_state=0)
        >>> gan.fit(load_iris().data).sample(5, cluster=1, codes={"continuous0": 0.5}).shape
        (5, 4)
        """
        check_is_fitted(self)
        n_samples = int(check_scalar(n_samples, "n_samples", Integral, min_val=1))
        try:
            codes = {} if codes is None else dict(codes)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"codes={codes!r} should be a mapping of names to values, such as "
                f"{{{self.code_names_[-1]!r}: 1}}."
            ) from error
        if cluster is not None:
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=len(self.weights_) - 1)
            if "cluster" in codes:
                raise ValueError(
                    f"cluster={cluster} and codes={codes!r} both name a cluster. Give one of them."
                )
            codes["cluster"] = cluster
        return self._render(self._set_codes(self._draw(n_samples), codes))

    def traverse(
        self, code: str, values=None, *, n_samples: int = 1, cluster: int | None = None
    ) -> Reals:
        """Rows that differ in one code only.

        Parameters
        ----------
        code : str
            One of ``code_names_``.
        values : array-like of shape (n_values,), default=None
            What the code goes through. None: from -2 to 2 for a continuous code (it was drawn
            from [-1, 1] in training), all its values for a categorical one.
        n_samples : int, default=1
            Draws of the noise and of the other codes.
        cluster : int, default=None
            Of this cluster only.

        Returns
        -------
        X : ndarray of shape (n_samples, n_values, n_features)
            ``X[i]`` shares noise and all other codes.
        """
        check_is_fitted(self)
        n_samples = int(check_scalar(n_samples, "n_samples", Integral, min_val=1))
        fixed = {} if cluster is None else {"cluster": cluster}
        drawn = self._set_codes(self._draw(n_samples), fixed)
        values = self._choose_values(code) if values is None else np.asarray(values).ravel()
        if not len(values):
            raise ValueError("values is empty: give at least one value for the code.")
        rows = [self._render(self._set_codes(drawn, {code: value})) for value in values]
        return np.stack(rows, 1)

    def code_report(self, n_samples: int = 1000) -> Any:
        """Measure what each code does in generated rows.

        Parameters
        ----------
        n_samples : int, default=1000
            Draws of the noise and of the other codes that the measures average over.

        Returns
        -------
        report : DataFrame with a row for each code, or dict of arrays without pandas
            "code" and "kind" ("categorical" or "continuous");
            "change": root mean square change in the features, continuous codes between -1 and 1,
            categorical ones between different values, with all else fixed, as a share of that
            between two unrelated rows: 0 is a code without effect;
            "n_features": how many features share the change (exponential of the entropy of their
            shares of the squared change), and "where": the three with the largest share;
            "keeps_cluster": share of rows in which Q reads the same cluster when the code
            changes; "moves_others": the largest share of the variance of Q's reading of another
            continuous code that this code explains: 0 is independent;
            "read_back": share of the code that Q reads back, mutual information over entropy for
            a categorical code, squared correlation for a continuous one; and "information": the
            lower bound on the information between code and rows, in nats;
            "distance": ``generator_distance_``, the same for all codes: above 1/3 the rows that
            the other columns describe do not look like X, and these say little about X.
        """
        check_is_fitted(self)
        n_samples = check_scalar(n_samples, "n_samples", Integral, min_val=2)
        return report(self, n_samples)

    # ---- codes

    @property
    def _n_features_out(self):
        latent = self.model_.latent
        return sum(latent.sizes) + latent.n_continuous

    def _generate(self, n_samples, random_state):
        return self._render(self._draw(n_samples, random_state))

    def _draw(self, n_samples, random_state=None):
        """Draw codes on the CPU; an int ``random_state`` draws the same ones on every call."""
        stream = random_stream(self.random_state) if random_state is None else random_state
        with seeded(draw_seed(stream)):
            return self.model_.latent.draw(n_samples, self.model_.log_prior.cpu())

    def _set_codes(self, drawn, values):
        """Return the drawn codes with the given values, by name, in place of some."""
        categories, continuous = drawn.categories.clone(), drawn.continuous.clone()
        n_categories = categories.shape[1]
        for name, value in values.items():
            index, value = self._find_code(name), np.asarray(value)
            if value.shape not in ((), (len(categories),)) or value.dtype.kind not in "biuf":
                raise ValueError(
                    f"Code {name!r} must be a number or have shape ({len(categories)},), got "
                    f"shape {value.shape} of {value.dtype}."
                )
            if index >= n_categories:
                if not np.isfinite(value).all():
                    raise ValueError(f"Code {name!r} must be finite, got {value}.")
                continuous[:, index - n_categories] = torch.as_tensor(value, dtype=torch.float32)
                continue
            size = self.model_.latent.sizes[index]
            if not np.isin(value, np.arange(size)).all():
                raise ValueError(
                    f"Code {name!r} takes whole numbers from 0 to {size - 1}, got {value}."
                )
            categories[:, index] = torch.as_tensor(value.astype(np.int64))
        return Codes(drawn.noise, categories, continuous)

    def _find_code(self, name):
        if name not in self.code_names_:
            raise ValueError(f"No code {name!r}; there are {', '.join(self.code_names_)}.")
        return self.code_names_.index(name)

    def _choose_values(self, name):
        """Return the default values of a traversal."""
        index, sizes = self._find_code(name), self.model_.latent.sizes
        return np.arange(sizes[index]) if index < len(sizes) else SWEEP

    def _render(self, codes):
        inputs = self.model_.latent.inputs(codes).numpy()
        return self._apply(self.model_, self.model_.render, inputs)


def find_style(standardize, X, resp, n_codes, random_state) -> npt.NDArray[np.float32]:
    """Find continuous codes of rows by within-cluster PCA, (N, at most n_codes), float32.

    The standardised rows, less the means of their clusters by the responsibilities (N, K), are
    projected on the principal directions of such differences, pooled over the clusters; a row's
    rank within its cluster, scaled to [-1, 1], is its code. So the codes are distributed as the
    generator's are drawn: uniformly in every cluster, and uncorrelated. There are fewer than
    ``n_codes`` where rows differ in fewer directions. ``standardize`` takes blocks of rows on the
    CPU.
    """
    n_rows = min(len(resp), max(STYLE_ROWS, STYLE_ELEMENTS // X.shape[1]))
    some = np.sort(random_state.permutation(len(resp))[:n_rows])
    seen, shares = map_rows(standardize, X[some]), resp[some]
    means = cluster_means(shares, seen)
    directions = _principal_directions(seen - shares @ means, n_codes, random_state)
    toward = torch.from_numpy(directions.T.astype(np.float32))
    along = map_rows(lambda x: standardize(x) @ toward, X)
    along = along - resp @ (means @ directions.T)
    labels = resp.argmax(1)
    for k in np.unique(labels):
        along[labels == k] = _rank(along[labels == k])
    return along.astype(np.float32)


def _principal_directions(rows, n_codes, random_state):
    """Return the principal directions of centred rows, (at most n_codes, D)."""
    n_codes = min(n_codes, *rows.shape)
    if not n_codes:
        return np.empty((0, rows.shape[1]))
    u, lengths, directions = randomized_svd(
        rows, n_codes, power_iteration_normalizer="QR", random_state=random_state
    )
    _, directions = svd_flip(u, directions, u_based_decision=False)
    return directions[lengths > 1e-6 * np.linalg.norm(rows) + np.finfo(np.float32).tiny]


def _rank(values):
    """Return the ranks in each column, scaled to [-1, 1]; equal values share their mean rank."""
    if not values.size:
        return values
    return (2 * rankdata(values, axis=0) - 1) / len(values) - 1

r"""CatGANClustering, CatGANClassifier: categorical GAN (Springenberg, 2016).

A discriminator D that is a classifier, and a generator G, its opponent. With H the entropy and
p_bar the mean of p(y|x) over a batch, each player minimises the sum of its terms::

    discriminator   certainty   E_x H[p(y|x)]            certain about real rows
                    balance    -H[p_bar(real)]           all classes used
                    fake       -E_z H[p(y|G(z))]         uncertain about generated rows
                    labels     -E_{x, y} log p(y|x)      right about labelled rows
    generator       certainty   E_z H[p(y|G(z))]         rows that D is certain about,
                    balance    -H[p_bar(fake)]           of all classes

====================  ==========================================
in the paper          here
====================  ==========================================
x, z, y               ``x``, ``z``, a column of ``log_p``
D, G                  ``discriminator`` (logits), ``generator``
p(y | x, D)           exp of ``log_resp``
====================  ==========================================
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Number, Real
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import assert_all_finite, check_consistent_length, check_scalar, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.functional import nll_loss

from ._adversarial import AdversarialEstimator
from ._base import DeepEstimator
from ._budget import Budget
from ._initialization import ADVERSARIAL_CONSTRAINTS, Partition
from ._responsibilities import check_finite
from ._typing import Reals, fit_context, with_callbacks
from ._validation import Auto, LabelledClusterMixin, is_missing
from .engine.batches import LabelledRows
from .engine.isolation import isolated
from .engine.runtime import (
    draw_generator,
    random_stream,
    restore_on_failure,
    store_parameters,
)
from .functional import random
from .functional.information import cross_entropy, entropy, marginal
from .modules.game import AdversarialGame, Augmentation, Player
from .modules.networks import (
    build_network,
    keep_running_statistics,
    normalised_mlp,
)
from .modules.regularization import NO_REGULARIZER, Regularizer
from .neighbors import partition_by_labels

#: Parameters of the clusterer that the classifier has no use for.
CLUSTERING = {"n_clusters", "max_clusters", "noise", "use_labels", "metric", "mixture_n_init"}


class CatGAN(AdversarialGame):
    """Categorical generative adversarial network.

    Two players. Batch normalisation of D uses the batch's statistics for real and for generated
    rows apart; its running statistics are those of real rows.

    Parameters
    ----------
    discriminator : Module, (N, D) -> (N, K)
        Logits of the classes of standardised rows.
    generator : Module, (N, L) -> (N, D)
        Its outputs are decoded by the likelihood.
    likelihood : Likelihood
    n_classes, n_noise : int
        K and L.
    weights : (float, float), default=(1.0, 1.0)
        Of "balance" and "fake" in D's loss.
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that hold the assignment to an anchor; "start" fades out.
    marginal_decay, label_weight : float
        As of :class:`CatGANClassifier`; a batch may have no labelled rows.

    Attributes
    ----------
    log_prior : Tensor of shape (K,) or None
        Class prior that p_bar(real) is to follow; None where it is to be uniform.
    log_marginal : Tensor of shape (K,)
        The running mean of p(y|x); after a fit, the logarithm of its mean over the rows.
    """

    def __init__(
        self,
        discriminator,
        generator,
        likelihood,
        n_classes,
        n_noise,
        *,
        weights=(1.0, 1.0),
        regularizer=NO_REGULARIZER,
        marginal_decay=0.0,
        label_weight=1.0,
    ) -> None:
        super().__init__(likelihood, n_classes)
        self.discriminator, self.generator, self.n_noise = discriminator, generator, n_noise
        self.balance_weight, self.fake_weight = weights
        self.regularizer, self.marginal_decay = regularizer, marginal_decay
        self.label_weight = label_weight
        self.register_buffer("log_prior", None)

    def log_resp_standardized(self, seen) -> Tensor:
        """Log p(y|x) of standardised rows, (N, K)."""
        return self.discriminator(seen).float().log_softmax(-1)

    def decode(self, z) -> Tensor:
        """Rows in the units of the data, (N, D)."""
        return self.likelihood.mean(self.generator(z))

    def generate(self, n_rows) -> Tensor:
        """Draw standardised rows from the generator, (N, D)."""
        z = random.randn((n_rows, self.n_noise), self.log_marginal.device)
        return self.likelihood.standardized_mean(self.generator(z))

    def imbalance(self, log_p) -> Tensor:
        """-H[p_bar], or with a class prior its cross-entropy to p_bar."""
        log_mean = marginal(log_p)
        if self.marginal_decay:
            log_mean = self._update_marginal(log_mean)
        if self.log_prior is None:
            return -entropy(log_mean)
        return cross_entropy(self.log_prior, log_mean)

    @torch.no_grad()
    def set_prior(self, p) -> None:
        """Set the class prior from an array of K positive numbers; None: uniform."""
        if p is None:
            self.log_prior = None
            return
        p = torch.as_tensor(p, dtype=torch.float64)
        self.log_prior = (p / p.sum()).log().to(self.log_marginal)

    def fitted_attributes(self) -> dict[str, Tensor]:
        """Class prior."""
        uniform = torch.zeros_like(self.log_marginal).log_softmax(0)
        return {"class_prior_": (uniform if self.log_prior is None else self.log_prior).exp()}

    def restore_buffers(self, tensors) -> None:
        """Create the class prior, where there is one."""
        self.log_prior = tensors.get("log_prior")

    def _update_marginal(self, log_mean):
        """Update the running mean; return its value with the gradient of the batch's mean."""
        share = log_mean.new_tensor(self.marginal_decay)
        with torch.no_grad():
            old, new = self.log_marginal + share.log(), log_mean + (-share).log1p()
            self.log_marginal.copy_(torch.logaddexp(old, new))
        return log_mean + (self.log_marginal - log_mean).detach()

    def discriminator_loss(self, batch) -> dict[str, Tensor]:
        """Weighted entropies of real and generated rows, cross-entropy of labelled rows, VAT."""
        seen, terms = self.standardize(batch.x), {}
        if batch.labelled is None:
            log_p = log_p_alone = self.log_resp_standardized(seen)
        else:
            known = self.standardize(batch.labelled)
            both = self.log_resp_standardized(torch.cat([seen, known]))
            log_p, log_known = both.split([len(seen), len(known)])
            terms["labels"] = self.label_weight * nll_loss(log_known, batch.target)
            # Batch normalisation saw labelled rows, too; the smoothness term compares answers
            # that are normalised by the batch alone.
            log_p_alone = None
        terms["certainty"] = entropy(log_p).mean()
        terms["balance"] = self.balance_weight * self.imbalance(log_p)
        with keep_running_statistics(self.discriminator):
            if self.fake_weight:
                with torch.no_grad():
                    fake = self.generate(len(seen))
                log_fake = self.log_resp_standardized(fake)
                terms["fake"] = -self.fake_weight * entropy(log_fake).mean()
            terms |= self.regularizer.terms(
                self.log_resp_standardized, seen, batch.anchor, log_p_alone
            )
        if "start" in terms:
            terms["start"] = (1 - self.progress) * terms["start"]
        return terms

    def generator_loss(self, batch) -> dict[str, Tensor]:
        """Entropies of D's predictions for generated rows, and of their mean."""
        with keep_running_statistics(self.discriminator):
            log_p = self.log_resp_standardized(self.generate(len(batch.x)))
        return {"certainty": entropy(log_p).mean(), "balance": -entropy(marginal(log_p))}

    def players(self) -> tuple[Player, ...]:
        """Discriminator, generator."""
        return (
            Player("discriminator", [self.discriminator], self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


class CatGANEstimator(AdversarialEstimator):
    """What clusterer and classifier share: building the model, its class prior, sampling."""

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **ADVERSARIAL_CONSTRAINTS,
        "n_noise": [Interval(Integral, 1, None, closed="left")],
        "layer_noise": [Interval(Real, 0, None, closed="left")],
        "balance_weight": [Interval(Real, 0, None, closed="left")],
        "fake_weight": [Interval(Real, 0, None, closed="left")],
        "class_prior": [StrOptions({"estimated"}), "array-like", None],
        "marginal_decay": [Interval(Real, 0, 1, closed="left")],
    }

    _budget = Budget(rate=3e-3, steps=12, cost=1.6, counts_clusters=True)

    def _build(self, n_features, likelihood):
        n_classes = self._count_clusters()
        widths = self._widths()[:2]
        make = partial(normalised_mlp, activation=self.activation)
        discriminator = partial(make, hidden_layer_sizes=widths, noise=self.layer_noise)
        generator = self.generator or partial(make, hidden_layer_sizes=widths[::-1])
        model = CatGAN(
            build_network(
                "discriminator", self.discriminator or discriminator, n_features, n_classes
            ),
            build_network("generator", generator, self.n_noise, n_features),
            likelihood,
            n_classes,
            self.n_noise,
            weights=(self.balance_weight, self.fake_weight),
            regularizer=Regularizer(self.start_weight, self.smoothness_weight),
            marginal_decay=self.marginal_decay,
        )
        if self.learning_rate == "auto":
            # What a generator draws leaves the range of the data at the rates of narrow networks.
            model.rates = {"generator.*": self._budget.rate / self._choose_learning_rate()}
        return model

    def _initialize(self, model, fit, is_new):
        prior = self.class_prior
        if isinstance(prior, str) and prior == "auto":
            prior = None if self.init is None else "estimated"
        estimated = isinstance(prior, str)
        if not estimated:
            # Also of a resumed model, whose buffer holds the prior of its first fit.
            model.set_prior(_check_prior(prior, self._count_clusters()))
        start = super()._initialize(model, fit, is_new)
        if estimated and is_new:
            if start.anchor is None:
                raise ValueError(
                    "class_prior='estimated' takes the prior from a start, but init=None has "
                    "none. Give the prior as an array, or choose another init."
                )
            share = start.anchor.mean(0, dtype=np.float64)
            model.set_prior(np.maximum(share, 0.5 / fit.n_samples))
        return start

    def sample(self, n_samples: int = 1) -> Reals:
        """Draw rows from the generator.

        They show where the discriminator was still certain in the last epochs, not what X looks
        like: the generator is the discriminator's opponent, and nothing asks for likeness. Digits
        come out as noise. ``generator_distance_`` says how far they are from X. To draw rows like
        those of X, take :class:`~skdeepcluster.InfoGANClustering` or a variational auto-encoder.

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
        n_samples = int(check_scalar(n_samples, "n_samples", Integral, min_val=1))
        return self._generate(n_samples, random_stream(self.random_state))

    def _generate(self, n_samples, random_state):
        Z = random_state.standard_normal((n_samples, self.model_.n_noise)).astype(np.float32)
        return self._apply(self.model_, self.model_.decode, Z)

    @classmethod
    def _update_state(cls, state):
        """Return the state, also of files in which ``layer_noise`` is called ``noise``."""
        state = _name_layer_noise(state)
        if "_fit_params" in state:
            state |= {"_fit_params": _name_layer_noise(state["_fit_params"])}
        return state


def _name_layer_noise(params):
    """Return parameters without ``layer_noise`` with their ``noise`` under this name."""
    if "layer_noise" in params:
        return dict(params)
    return {"layer_noise" if name == "noise" else name: value for name, value in params.items()}


def _check_prior(prior, n_classes):
    """Return a given class prior as an array, validated; None for a uniform one."""
    if prior is None:
        return None
    prior = check_finite("class_prior", prior)
    if prior.shape != (n_classes,) or not (prior > 0).all():
        raise ValueError(
            f"class_prior must be {n_classes} positive numbers, one for each class, got {prior}."
        )
    return prior


class CatGANClustering(LabelledClusterMixin, CatGANEstimator):
    r"""Categorical generative adversarial network.

    A classifier trained without labels: its predictions are certain for every row, use all
    clusters, and are uncertain for generated rows. By default it starts from a partition found
    without labels, and its predictions are kept smooth.

    Parameters
    ----------
    n_clusters : int or "auto", default=8
        Number of classes of the discriminator; more than there are kinds of rows (over-clustering)
        is common for this method. "auto": as many as
        :func:`~skdeepcluster.neighbors.count_clusters` finds in the standardised rows, or that of
        a partition given as ``init``.
    n_components : int, default=10
        Size of the code of the auto-encoder, if ``pretraining_epochs`` asks for one.
    hidden_layer_sizes : array-like of int or "auto", default="auto"
        Widths of that auto-encoder's hidden layers. "auto": (w, w, 4 w) with
        w = 500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1)^(1/4), at least 128.
        The first two are the discriminator's, and mirrored the generator's.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers of discriminator and generator, which are normalised by
        batch.
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
    n_noise : int, default=64
        Size of the generator's input, drawn from N(0, I).
    layer_noise : float, default=0.0
        Standard deviation of the noise that training adds to the input of every layer of the
        discriminator; the paper's experiments take 0.3 and more.
    balance_weight : float, default=1.0
        Weight of the entropy of the batch's mean prediction (all clusters used); 1 in the paper.
    fake_weight : float, default=0.3
        Weight of the entropy of predictions for generated rows in the discriminator's loss; 1 in
        the paper. With 0 the generator is trained, but the discriminator ignores it.
    class_prior : {"auto", "estimated"}, array-like of shape (n_clusters,) or None, default="auto"
        Shares that the clusters should have. "estimated": those of the start, by the
        cross-entropy of shares and mean prediction; an array: these. None: equal ones, by the
        entropy of the mean prediction, as published; large clusters are then divided and small
        ones joined. "auto": "estimated" from a start, None with init=None.
    marginal_decay : float, default=0.0
        Of the running mean of predictions that stands for the batch's mean, whose entropy is
        biased where ``batch_size`` is small against ``n_clusters``. 0 is the batch's, as
        published.
    init : {"neighbors", "mixture"}, NeighborClustering, array-like, None, default="neighbors"
        Where the clusters come from. "neighbors": from the partition seen in a layout of the
        neighbour graph of the standardised rows (see
        :func:`~skdeepcluster.neighbors.neighbor_start`); a :class:`NeighborClustering`: the same
        by its settings, a clone of it being fitted with the ``n_clusters`` and ``random_state``
        given here; "mixture": from a mixture on the rows. With ``pretraining_epochs`` the codes
        of a denoising auto-encoder, which is thrown away, stand for the rows. The partition
        enters as ``start_weight`` and ``smoothness_weight`` say. An array: this partition, the
        cluster of each row or responsibilities of shape (n_samples, n_clusters). None: from
        nothing and without the two terms, which with ``fake_weight=1`` is the published way.
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
    start_weight : float, default=1.0
        Weight of the cross-entropy of the clusters to those of the start, in training from a
        start; fades linearly to 0. An addition of this package.
    smoothness_weight : float, default=2.0
        Weight of the divergence between the clusters of a row and of its worst neighbour within
        a short step (virtual adversarial training), in training from a start. An addition of
        this package; 0 halves the cost of a step.
    mixture_n_init : int, default=10
        Starts of the mixture on the codes for init="mixture"; the likeliest is kept.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder over X; "auto" and 0: none, the standardised rows
        are divided as they are.
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes over X after pretraining. "auto" makes ``12 * sqrt(n_samples)`` steps, or 12 for
        each cluster if these are more.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW. "auto" is ``3e-3 * 500 / w``, w the
        width of the first hidden layer, at least 128, and ``3e-3`` for the generator.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives the generator's network, ``n_in = n_noise``. None: a
        perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives the discriminator's network, ``n_out = n_clusters``
        logits. None: a perceptron.
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
    generator_distance_ : float
        How far the rows that the generator draws are from X, as of
        :class:`InfoGANClustering`: 0 is as near as rows of X to each other, 1 as far as any two of
        them. Rows of an opponent are far from X, and no warning is given.
    generator_coverage_ : float
        Share of the clusters of X, by up to 1,000 rows, into which drawn rows fall.
    class_prior_ : ndarray of shape (n_clusters,)
        Shares that training asked the clusters to have, as given or as "auto" chose.
    model_ : CatGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row, as
        weighted, "discriminator_certainty", "discriminator_balance", "discriminator_fake",
        "discriminator_start", "discriminator_smoothness", "generator_certainty" and
        "generator_balance".
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
    CatGANClassifier : The same model with some labels.

    Notes
    -----
    With H the entropy, D maximises and G minimises [1]_

    .. math::

        H[E_x p(y | x)] - E_x H[p(y | x)] + E_z H[p(y | G(z))], \quad
        E_z H[p(y | G(z))] - H[E_z p(y | G(z))]

    Any balanced split that D can be sure of satisfies this, by style or stroke as well as by
    class: it keeps the partition that it begins with, and sharpens it. The start, its weight and
    the smoothness [2]_ are additions of this package, the generator counts less than in the
    paper, and from a start the cross-entropy of its shares of the clusters and E_x p(y | x) takes
    the place of -H[E_x p(y | x)]; ``init=None, fake_weight=1`` is the published objective.

    ``score_samples`` is KL(p(y|x) || p(y)), with p(y) the mean prediction for the rows of ``fit``.
    Its mean over these is ``score``, the mutual information of row and cluster, at most log K.

    With a neighbour start it is the network here that improves the clusters most on average, most
    on all of MNIST (benchmarks/RESULTS.md, "What networks add to their starts").

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018.
    .. [3] K. Lee, K. Lee, H. Lee, J. Shin, "A Simple Unified Framework for Detecting
       Out-of-Distribution Samples and Adversarial Attacks", NeurIPS 2018 (the outlier score).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import CatGANClustering
    >>> X = load_iris().data
    >>> catgan = CatGANClustering(3, n_components=2, hidden_layer_sizes=(16,), random_state=0)
    >>> catgan.fit(X).predict_proba(X).shape
    (150, 3)
    >>> catgan.sample(5).shape
    (5, 4)
    """

    _parameter_constraints = {
        **CatGANEstimator._parameter_constraints,
        "class_prior": [StrOptions({"auto", "estimated"}), "array-like", None],
    }

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="leaky_relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        n_noise=64,
        layer_noise=0.0,
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior: Any = "auto",
        marginal_decay=0.0,
        init: Any = "neighbors",
        metric: str | Callable[..., float] = "euclidean",
        max_clusters=60,
        noise=0.0,
        use_labels=False,
        start_weight=1.0,
        smoothness_weight=2.0,
        mixture_n_init=10,
        pretraining_epochs: int | Auto = "auto",
        pretraining_learning_rate=2e-3,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
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


class CatGANClassifier(ClassifierMixin, CatGANEstimator):
    r"""Categorical generative adversarial network for few labels and many rows.

    Learns from labelled rows and from rows without labels: its predictions are certain for all of
    them, use all classes, are uncertain for generated rows, and are kept smooth.

    Parameters
    ----------
    n_components : int, default=10
        Size of the code of the auto-encoder, if ``pretraining_epochs`` asks for one.
    hidden_layer_sizes : array-like of int or "auto", default="auto"
        Widths of that auto-encoder's hidden layers. "auto": (w, w, 4 w) with
        w = 500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1)^(1/4), at least 128.
        The first two are the discriminator's, and mirrored the generator's.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers of both networks, which are normalised by batch.
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
    n_noise : int, default=64
        Size of the generator's input, drawn from N(0, I).
    layer_noise : float, default=0.0
        Standard deviation of the noise that training adds to the input of every layer of the
        discriminator; the paper's experiments take 0.3 and more.
    label_weight : float, default=1.0
        Weight of the cross-entropy of labelled rows.
    balance_weight : float, default=1.0
        Weight of the entropy of the batch's mean prediction (all classes used); 1 in the paper.
    fake_weight : float, default=0.3
        Weight of the entropy of predictions for generated rows in the discriminator's loss; 1 in
        the paper. With 0 the generator is trained, but the discriminator ignores it.
    class_prior : None, "estimated" or array-like of shape (n_classes,), default=None
        Shares that the classes should have. None: equal ones, by the entropy of the mean
        prediction. An array: these, by the cross-entropy of prior and mean prediction.
        "estimated": the shares of the start.
    marginal_decay : float, default=0.0
        Of the running mean of predictions that stands for the batch's mean, whose entropy is
        biased where ``batch_size`` is small against the number of classes. 0: the batch's.
    init : {"neighbors"} or None, default="neighbors"
        Where training begins. "neighbors": from the likeliest class of each row by the labels in
        the neighbour graph of the standardised rows (see
        :func:`~skdeepcluster.neighbors.partition_by_labels`), by ``start_weight`` and
        ``smoothness_weight``. With ``pretraining_epochs``, and unless all rows have labels, the
        codes of a denoising auto-encoder, which is thrown away, stand for the rows. None: from
        nothing and without the two terms, which with ``fake_weight=1`` is the published way.
    start_weight : float, default=1.0
        Weight of the cross-entropy of the classes to those of the start, in training from a
        start; fades linearly to 0. An addition of this package.
    smoothness_weight : float, default=4.0
        Weight of the divergence between the classes of a row and of its worst neighbour within
        a short step (virtual adversarial training), in training from a start. An addition of
        this package; 0 halves the cost of a step, and 1 suits rows that all have labels.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder over X; "auto" and 0: none, the standardised rows
        are divided as they are.
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes over X after pretraining. "auto" makes ``12 * sqrt(n_samples)`` steps, or 12 for
        each class if these are more.
    learning_rate : float or "auto", default="auto"
        Peak of the one-cycle schedule of AdamW. "auto" is ``3e-3 * 500 / w``, w the
        width of the first hidden layer, at least 128, and ``3e-3`` for the generator.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives its network, ``n_in = n_noise``. None: a perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives its network; outputs are logits. None: a perceptron.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    start_labels_ : ndarray of shape (n_samples,) or None
        Labels at the start: what training added is the difference. None with init=None.
    generator_distance_ : float
        How far the rows that the generator draws are from X, as of
        :class:`InfoGANClustering`: 0 is as near as rows of X to each other, 1 as far as any two of
        them. Rows of an opponent are far from X, and no warning is given.
    generator_coverage_ : float
        Share of the classes of X, by up to 1,000 rows, into which drawn rows fall.
    class_prior_ : ndarray of shape (n_classes,)
        Shares that training asked the classes to have.
    model_ : CatGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch, as of :class:`CatGANClustering`, and "discriminator_labels".
    n_iter_ : int
        Epochs trained, without pretraining.
    likelihood_ : {"bernoulli", "gaussian", "columns"}
        As given or as "auto" chose; "columns" for a likelihood of columns.
    standardize_ : bool
        Whether features are scaled by standard deviations of their own, as given or as "auto"
        chose; False without Gaussian features.
    temperature_ : float
        1.
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
    CatGANClustering : The same model without labels.
    sklearn.semi_supervised.LabelSpreading : Classes by the neighbour graph alone.

    Notes
    -----
    The objective is that of :class:`CatGANClustering` with the cross-entropy of the labelled rows
    added to the discriminator's [1]_; every batch comes with labelled rows.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import CatGANClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> some = np.where(np.arange(150) % 10 == 0, y, -1)  # 15 labels
    >>> catgan = CatGANClassifier(hidden_layer_sizes=(32,), random_state=0).fit(X, some)
    >>> catgan.score(X, y) > 0.8
    True
    """

    _parameter_constraints = {
        **{
            name: constraint
            for name, constraint in CatGANEstimator._parameter_constraints.items()
            if name not in CLUSTERING
        },
        "init": [StrOptions({"neighbors"}), None],
        "label_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_components=10,
        hidden_layer_sizes: Sequence[int] | Auto = "auto",
        activation="leaky_relu",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        n_noise=64,
        layer_noise=0.0,
        label_weight=1.0,
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior=None,
        marginal_decay=0.0,
        init: Any = "neighbors",
        start_weight=1.0,
        smoothness_weight=4.0,
        pretraining_epochs: int | Auto = "auto",
        pretraining_learning_rate=2e-3,
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
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

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None) -> Self:
        """Train on X and the labels there are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from. Sparse only with ``accept_sparse=True``. The order of rows that
            take up to 64 MiB does not matter.
        y : array-like of shape (n_samples,)
            Labels, numbers or strings. Rows without one have -1, as elsewhere in scikit-learn, of
            any type of numbers and also among strings; or the string "-1", which numpy makes of
            it in an array of strings; or None, nan or ``pandas.NA``. If -1 and 1 are the only
            values, they are two classes: without the -1 there would be nothing to tell apart.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0. Whole weights count as repetitions of the rows. Of
            other weights, or with a sum above 10 ``n_samples``, as many rows as X has are drawn
            in proportion to them, and trained on. The rows drawn are copied into memory.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            When no row has a label, or it is ambiguous which have none: marked in two of these
            ways, or by the string "nan".
        FloatingPointError
            When a loss stops being finite.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_consistent_length(X, y)
        classes, targets = _encode_labels(y)
        if self._continues() and not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start=True goes on with the classes {self.classes_}, but y has {classes}. "
                "Give labels of all classes, or set warm_start=False."
            )
        with isolated(), restore_on_failure(self):
            self.classes_ = classes
            return self._fit(X, y, sample_weight, targets)

    def _count_clusters(self):
        return len(self.classes_)

    def _build(self, n_features, likelihood):
        model = super()._build(n_features, likelihood)
        model.label_weight = self.label_weight
        return model

    def _make_rows(self, start, fit):
        draws = draw_generator(fit.random_state)
        return LabelledRows(fit.X, fit.targets, draws, anchor=start.anchor)

    def _find_partition(self, fit):
        if (fit.targets >= 0).all():
            return Partition(np.eye(len(self.classes_))[fit.targets]), False
        return super()._find_partition(fit)

    def _choose_pretraining_epochs(self, fit):
        return 0 if (fit.targets >= 0).all() else super()._choose_pretraining_epochs(fit)

    def _divide(self, init, fit, codes=None):
        fit.progress.begin("neighbours")
        rows = fit.standardize_rows() if codes is None else codes
        options = {"random_state": fit.random_state, "n_jobs": torch.get_num_threads()}
        n_classes = len(self.classes_)
        find = partial(partition_by_labels, rows, fit.targets, n_classes, **options)
        # One-hot, because the probabilities by the neighbour graph are not calibrated.
        resp = fit.search(find)
        return Partition(np.eye(n_classes)[resp.argmax(1)])

    def _set_labels(self, labels, probabilities, start_labels, fit):
        self.start_labels_ = None if start_labels is None else self.classes_[start_labels]
        if len(self.classes_) > 1 and (labels == labels[0]).all():
            warnings.warn(
                f"All rows are classified as {self.classes_[labels[0]]}. Give more labels of "
                "each class, train longer (max_epochs), scale the features to a common range, or "
                "let class_prior say how frequent the classes are.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def predict(self, X) -> npt.NDArray[Any]:
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Among ``classes_``.
        """
        indices = super().predict(X)  # checks first that the classifier is fitted
        return self.classes_[indices]


def _encode_labels(y):
    """Return the sorted classes, and the index of each row's class, -1 without a label."""
    # A list must not become an array of strings, in which None, nan and -1 are words.
    y = column_or_1d(np.array(y, dtype=object) if isinstance(y, list | tuple) else y, warn=True)
    if y.dtype.kind in "fc":
        assert_all_finite(y, allow_nan=True, input_name="y")
    labels = y.tolist()
    markers = np.array([_find_marker(label) for label in labels])
    if set(labels) in ({-1, 1}, {"-1", "1"}):  # two classes
        markers[:] = ""
    kinds = set(markers) - {""}
    if len(kinds) > 1:
        raise ValueError(
            f"y marks rows without a label by {' and by '.join(sorted(kinds))}, so that one of "
            "them may be a class. Mark all of them by None, and give the class another name."
        )
    known = [label for label, marker in zip(labels, markers, strict=True) if not marker]
    if not known:
        raise ValueError(
            "No row has a label: all of y is -1 or missing. Give at least one label of each "
            "class, or use CatGANClustering, which needs none."
        )
    words = [label for label in labels if isinstance(label, str)]
    if words and not all(isinstance(label, str) for label in known):
        raise ValueError(
            f"y mixes strings, as {words[0]!r}, and numbers. Make all labels strings, or all of "
            "them numbers."
        )
    if "nan" in words:
        raise ValueError(
            "y has the string 'nan', which may be a class or a missing value in an array of "
            "strings. Mark rows without a label by None (dtype=object), or rename the class."
        )
    known = np.array(known) if y.dtype.kind == "O" else y[markers == ""]
    check_classification_targets(known)
    classes, numbers = np.unique(known, return_inverse=True)
    targets = np.full(len(y), -1, dtype=np.int64)
    targets[markers == ""] = numbers
    return classes, targets


def _find_marker(label):
    """Return in words which marker of a row without a label this is; "" for a class."""
    if is_missing(label):
        return "None, nan or pandas.NA"
    if isinstance(label, Number) and label == -1:
        return "the number -1"
    is_word = isinstance(label, str) and label in ("-1", "-1.0")
    return f"the string {str(label)!r}" if is_word else ""

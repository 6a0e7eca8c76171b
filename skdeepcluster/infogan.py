"""InfoGANClustering: a GAN whose codes can be read back (Chen et al., 2016).

In the paper's notation, G is ``generator``, D ``critic`` of ``body``, Q ``reader`` of ``body``, z
``Codes.noise``, c ``Codes.categories`` and ``Codes.continuous``, lambda ``mi_weight``.

N samples, D features, Z noise variables, A categorical codes of K_a values, C continuous codes.
The generator's inputs are noise, one-hot categories and continuous codes, (N, Z + sum K_a + C).
"""

from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.utils._param_validation import Interval
from sklearn.utils.extmath import randomized_svd, svd_flip
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import mse_loss, nll_loss, one_hot
from torch.optim.swa_utils import update_bn

from .deep.adversarial import (
    BATCH_SIZE,
    FAR_FROM_DATA,
    FEW,
    compare_generated,
    find_in_codes,
    set_marginal,
)
from .deep.base import ClusteringMixin, DeepEstimator, EmbeddingMixin
from .deep.fit import Recipe, apply
from .functional.gaussian import log_prob_diag
from .functional.losses import called_fake, called_real
from .input.checks import check_finite, warn_user
from .input.labels import cluster_means
from .input.parameters import WEIGHT, begin_sample, draw_seed, store_parameters
from .input.types import Auto, Reals, Widths
from .nn.model import AdversarialModel, Player, observed, regularize
from .nn.networks import ACTIVATIONS, check_widths, make_network, mlp, normalized_mlp
from .nn.runtime import (
    batches,
    map_rows,
    multinomial,
    rand,
    randint,
    randn_like,
    seeded,
)

#: Bounds of the log-standard-deviations of continuous codes by Q. The loss grows with the square
#: of an error in standard deviations, so smaller ones would let it explode.
LOG_STD = (-3.0, 2.0)


class Codes(NamedTuple):
    """Noise (N, Z), categories (N, A), int64, and continuous codes (N, C) of samples."""

    noise: Tensor
    categories: Tensor
    continuous: Tensor


class Reading(NamedTuple):
    """Q(c|x): log-probabilities (N, K_a) per categorical code; means and log-stds (N, C)."""

    log_probs: list[Tensor]
    mean: Tensor
    log_std: Tensor


class LatentSpace:
    """The codes, their distribution, and the losses of Q's reading of them.

    There are ``n_noise`` noise variables and ``n_continuous`` continuous codes, uniform on
    [-1, 1], and categorical codes with ``sizes`` values; the first one is the cluster.
    """

    def __init__(self, n_noise, sizes, n_continuous):
        self.n_noise = n_noise
        self.sizes = list(sizes)
        self.n_continuous = n_continuous
        n_values = sum(self.sizes)
        #: Number of the generator's inputs.
        self.n_inputs = n_noise + n_values + n_continuous
        #: Number of Q's outputs: logits, means, log-standard-deviations.
        self.n_readings = n_values + 2 * n_continuous

    @property
    def names(self):
        """Names of the codes."""
        categories = [f"category{a}" for a in range(1, len(self.sizes))]
        continuous = [f"continuous{j}" for j in range(self.n_continuous)]
        return ["cluster", *categories, *continuous]

    def find(self, name):
        """Return the position of a code among all codes."""
        if name not in self.names:
            raise ValueError(f"No code {name!r}; there are {', '.join(self.names)}.")
        return self.names.index(name)

    def draw(self, n_samples, log_prior):
        """Sample codes: the cluster from its prior (K,), all others uniformly."""
        device = log_prior.device
        cluster = multinomial(log_prior.exp(), n_samples)
        others = [randint(size, (n_samples,), device) for size in self.sizes[1:]]

        def uniform(n_codes):
            return rand((n_samples, n_codes), device) * 2 - 1

        return Codes(
            uniform(self.n_noise),
            torch.stack([cluster, *others], 1),
            uniform(self.n_continuous),
        )

    def inputs(self, codes):
        """Return the generator's inputs for codes, (N, n_inputs)."""
        pairs = zip(codes.categories.T, self.sizes, strict=True)
        categories = [one_hot(category, size) for category, size in pairs]
        return torch.cat([codes.noise, *categories, codes.continuous], 1)

    def read(self, readings):
        """Split Q's output (N, n_readings) into the parameters of Q(c|x), in float32."""
        n = self.n_continuous
        *logits, mean, log_std = readings.float().split([*self.sizes, n, n], 1)
        log_probs = [values.log_softmax(-1) for values in logits]
        return Reading(log_probs, mean, log_std.clamp(*LOG_STD))

    def reading_loss(self, reading, codes):
        """-log Q(c|x) of codes in nats, mean over the samples.

        "category" is the sum over categorical codes, "continuous" the sum over continuous codes.
        """
        pairs = zip(reading.log_probs, codes.categories.T, strict=True)
        categories = [nll_loss(log_p, category) for log_p, category in pairs]
        losses = {"category": torch.stack(categories).sum()}
        if self.n_continuous:
            losses["continuous"] = self.continuous_loss(reading, codes.continuous)
        return losses

    def continuous_loss(self, reading, continuous):
        """Mean Gaussian negative log-likelihood of the first continuous codes, (N, <= C)."""
        n_codes = continuous.shape[1]
        mean = reading.mean[:, :n_codes]
        log_var = 2 * reading.log_std[:, :n_codes]
        return -log_prob_diag(continuous, mean, log_var).mean()


# ---- the model


class InfoGAN(AdversarialModel):
    """Information maximizing generative adversarial network.

    Parameters
    ----------
    generator : Module, (N, latent.n_inputs) -> (N, D)
    body : Module, (N, D) -> (N, H)
        Shared by D and Q.
    critic, reader : Module, (N, H) -> (N, 1) and (N, H) -> (N, latent.n_readings)
        Logits of "real", and Q's own layers.
    latent : LatentSpace
    likelihood : Likelihood
    regularizer : Regularizer
        Terms that keep Q's predictions for samples of X near an anchor.
    mi_weight, continuous_weight, instance_noise, reconstruction_weight : float
        As in :class:`InfoGANClustering`.
    """

    def __init__(
        self,
        generator,
        body,
        critic,
        reader,
        latent,
        likelihood,
        regularizer,
        mi_weight,
        continuous_weight,
        instance_noise,
        reconstruction_weight,
    ):
        super().__init__(likelihood, latent.sizes[0])
        self.generator = generator
        self.body = body
        self.critic = critic
        self.reader = reader
        self.latent = latent
        self.regularizer = regularizer
        self.mi_weight = mi_weight
        self.continuous_weight = continuous_weight
        self.instance_noise = instance_noise
        self.reconstruction_weight = reconstruction_weight
        self.register_buffer("log_prior", self.log_marginal.clone())

    # ---- predictions

    def read_standardized(self, x_std):
        """Q(c|x) of standardized samples."""
        return self.latent.read(self.reader(self.body(x_std)))

    def log_resp_standardized(self, x_std):
        """Log Q(k|x) of the cluster, (N, K)."""
        return self.read_standardized(x_std).log_probs[0]

    def encode(self, x):
        """Posterior of all codes: probabilities of the categories, continuous means."""
        reading = self.read_standardized(self.standardize(x))
        probabilities = [log_p.exp() for log_p in reading.log_probs]
        return torch.cat([*probabilities, reading.mean], 1)

    def decode(self, code):
        """Generate samples for codes in the layout of ``encode``, with noise variables at zero."""
        noise = code.new_zeros(len(code), self.latent.n_noise)
        return self.render(torch.cat([noise, code], 1))

    def render(self, inputs):
        """Generate samples for inputs (N, latent.n_inputs), in the units of the data."""
        return self.likelihood.mean(self.generator(inputs))

    def render_standardized(self, codes):
        """Generate standardized samples for Codes, (N, D)."""
        output = self.generator(self.latent.inputs(codes))
        return self.likelihood.standardized_mean(output)

    # ---- losses

    def discriminator_loss(self, batch):
        """D's cross-entropies for real and generated samples, -lambda L_I, and :meth:`hold`."""
        x_std = self.standardize(batch.x)
        with torch.no_grad():
            fake, codes = self.generate(len(batch.x))
            fake = observed(fake, batch.x)
        real = self.body(self.add_noise(x_std))
        fake = self.body(self.add_noise(fake))
        terms = {
            "real": called_real(self.critic(real)),
            "fake": called_fake(self.critic(fake)),
        }

        hidden = fake if self.mi_weight else fake.detach()
        terms |= self.information_loss(hidden, codes, self.mi_weight or 1.0)
        if batch.anchor is not None or self.regularizer.information_weight:
            terms |= self.hold(x_std, batch)
        return terms

    def hold(self, x_std, batch):
        """Terms of the regularizer, and of Q's reading of the style."""
        reading = self.read_standardized(x_std)
        terms = regularize(self, batch, x_std, reading.log_probs[0])
        if "style" in batch.columns:
            style = batch.columns["style"][:, : self.latent.n_continuous]
            terms["style"] = self.latent.continuous_loss(reading, style)
        return terms

    def generator_loss(self, batch):
        """G's non-saturating loss -log D(G), and -lambda L_I."""
        fake, codes = self.generate(len(batch.x))
        hidden = self.body(self.add_noise(observed(fake, batch.x)))
        terms = {"adversarial": called_real(self.critic(hidden))}
        if self.mi_weight:
            terms |= self.information_loss(hidden, codes, self.mi_weight)
        if self.reconstruction_weight and batch.anchor is not None:
            weight = self.reconstruction_weight * (1 - self.progress)
            terms["reconstruction"] = weight * self.reconstruction_loss(batch)
        return terms

    def reconstruction_loss(self, batch):
        """Mean squared error, standardized, of samples generated from the codes of the batch.

        The anchor gives clusters, the style continuous codes, then noise; others are random.
        """
        codes = self.latent.draw(len(batch.x), self.log_prior)
        codes.categories[:, 0] = batch.anchor.argmax(1)
        if "style" in batch.columns:
            style = batch.columns["style"]
            style, noise = style.tensor_split([self.latent.n_continuous], 1)
            codes.continuous[:, : style.shape[1]] = style
            codes.noise[:, : noise.shape[1]] = noise
        rendered = observed(self.render_standardized(codes), batch.x)
        return mse_loss(rendered, self.standardize(batch.x))

    def generate(self, n_samples):
        """Return standardized samples (N, D) generated from random codes, and the codes."""
        codes = self.latent.draw(n_samples, self.log_prior)
        return self.render_standardized(codes), codes

    def add_noise(self, x_std):
        """Add instance noise to standardized samples."""
        std = self.instance_noise
        return x_std + std * randn_like(x_std) if std else x_std

    def information_loss(self, hidden, codes, weight):
        """Weighted losses of Q's reading of the codes: -lambda L_I without the constant H(c)."""
        reading = self.latent.read(self.reader(hidden))
        losses = self.latent.reading_loss(reading, codes)
        weights = {"category": weight, "continuous": weight * self.continuous_weight}
        return {name: weights[name] * loss for name, loss in losses.items()}

    def players(self):
        """Discriminator with Q, then generator."""
        judges = [self.body, self.critic, self.reader]
        return (
            Player("discriminator", judges, self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


def set_codes(latent, codes, values):
    """Return Codes with some of them replaced by numbers or arrays (N,), given by name."""
    categories = codes.categories.clone()
    continuous = codes.continuous.clone()
    columns = [*categories.T, *continuous.T]
    for name, value in values.items():
        index = latent.find(name)
        column = columns[index]
        value = check_finite(name, np.ravel(value))
        allowed = value
        kind = "numbers"
        if index < len(latent.sizes):
            allowed = range(latent.sizes[index])
            kind = f"whole numbers from 0 to {allowed[-1]}"
        if len(value) not in (1, len(column)) or not np.isin(value, allowed).all():
            raise ValueError(
                f"Code {name!r} takes {kind}, one or of shape ({len(column)},), got {value}."
            )
        column.copy_(torch.as_tensor(value, device="cpu"))
    return codes._replace(categories=categories, continuous=continuous)


# ---- continuous codes of samples: ranks along principal directions

#: Maximum number of matrix elements (samples times features) of the subsample whose principal
#: directions are found.
STYLE_ELEMENTS = 2**22
#: Minimum number of samples of this subsample.
STYLE_ROWS = 256


def find_style(
    standardize,
    X,
    resp,
    n_codes,
    random_state,
):
    """Find continuous codes of samples by within-cluster PCA, (N, at most n_codes), float32.

    The differences between standardized samples and their cluster means, by responsibilities
    (N, K), are projected on their principal directions. A code is the rank of a sample within its
    cluster, scaled to [-1, 1]: uniform in every cluster and uncorrelated, like the generator's
    inputs. There are fewer than ``n_codes`` if the samples differ in fewer directions.
    """
    n_samples, n_features = X.shape
    n_drawn = max(STYLE_ROWS, STYLE_ELEMENTS // n_features)
    some = np.sort(random_state.permutation(n_samples)[:n_drawn])

    x_std = map_rows(standardize, X[some])
    shares = resp[some]
    means = cluster_means(shares, x_std)
    centered = x_std - shares @ means
    directions = _principal_directions(centered, n_codes, random_state)

    projection = torch.from_numpy(directions.T.astype(np.float32))
    codes = map_rows(lambda x: standardize(x) @ projection, X)
    codes = codes - resp @ (means @ directions.T)

    labels = resp.argmax(1)
    for k in np.unique(labels):
        is_member = labels == k
        ranks = rankdata(codes[is_member], axis=0)  # equal values share their mean rank
        codes[is_member] = (2 * ranks - 1) / is_member.sum() - 1
    return codes.astype(np.float32)


def _principal_directions(centered, n_codes, random_state):
    """Return the principal directions of centered samples, (at most n_codes, D)."""
    n_codes = min(n_codes, *centered.shape)
    if not n_codes:
        return np.empty((0, centered.shape[1]))

    u, lengths, directions = randomized_svd(
        centered,
        n_codes,
        power_iteration_normalizer="QR",
        random_state=random_state,
    )

    _, directions = svd_flip(u, directions, u_based_decision=False)
    tiny = np.finfo(np.float32).tiny
    least = 1e-6 * np.linalg.norm(centered) + tiny
    return directions[lengths > least]


# ---- the estimator

#: Number of noise variables, as in the paper.
N_NOISE = 62
#: Width of the hidden layer of Q's own part, as in the paper.
READER_WIDTH = 128
#: Activation of D and Q.
ACTIVATION = "leaky_relu"
#: Share of Q's own clusters in the anchor at the end of training.
OWN_SHARE = 0.5
#: Number of noise variables that stand for principal directions in the reconstruction.
NOISE_DIRECTIONS = 8
#: Values of a continuous code in a traversal, as in the paper.
SWEEP = np.linspace(-2, 2, 9)


class InfoGANClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    r"""Generative adversarial network whose codes can be read from samples (InfoGAN).

    A generator makes samples from noise and codes, a discriminator judges them, and Q reads the
    codes back. One code has ``n_clusters`` values: what Q reads in a sample is its cluster. The
    model adds continuous codes for what else varies, and samples by code.

    Parameters
    ----------
    n_clusters : int, (int, int) or "auto"
        Number of clusters: values of the categorical code that is the cluster. With "auto" or
        bounds (lowest, highest), ``init`` finds the number.
    n_continuous : int
        Number of continuous codes, uniform on [-1, 1].
    other_categories : array-like of int
        Numbers of values of further categorical codes.
    mi_weight : float
        Weight lambda of the information term. With 0, the term trains Q alone.
    continuous_weight : float
        Weight of the continuous codes in the information term.
    instance_noise : float
        Standard deviation of noise added to the inputs of the discriminator; 0 as published.
    init_weight : float
        Weight of the cross-entropy between the initial partition and Q's predictions for X; half
        of it moves to Q's own clusters in training. Not used with ``init="own"``.
    reconstruction_weight : float
        Weight of the squared error between samples of X and those that the generator makes from
        their clusters and ranks; fades linearly to 0.
    max_epochs : int or "auto"
        Epochs after pretraining. "auto": ``10 * max(sqrt(n_samples), n_clusters)`` steps, four
        times as many with ``augment`` or ``init="own"``.
    learning_rate : float or "auto"
        Peak of the one-cycle schedule of AdamW. "auto": ``2e-3 * 500 / w`` with w the width of the
        first hidden layer.
    generator_learning_rate : float
        Peak of the generator's schedule.
    image_shape : tuple of int
        (height, width) or (channels, height, width) of images whose pixels are the features;
        generator and discriminator are then convolutional by default.
    generator : callable
        ``generator(n_in, n_out)`` returns the generator. None: a multilayer perceptron.
    discriminator : callable
        ``discriminator(n_in, n_out)`` returns the body that discriminator and Q share. None: a
        multilayer perceptron. ``skdeepcluster.nn`` has the convolutional pair.

    Attributes
    ----------
    code_names_ : list of str
        "cluster", "category1", ..., "continuous0", ...
    weights_ : ndarray of shape (n_clusters,)
        Shares of the clusters in generated samples.
    generator_distance_ : float
        Median distance of generated samples to the nearest sample of X, rescaled: 0 is the median
        between nearest neighbors in X, 1 between any two samples. Above 1/3 the fit warns.
    generator_coverage_ : float
        Share of the clusters of X in generated samples; below 0.5 the fit warns.
    model_ : InfoGAN
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        ``"discriminator_"`` followed by real, fake, category, continuous, start, smoothness,
        information or style, and ``"generator_"`` followed by adversarial, category, continuous or
        reconstruction (a squared error); and evidence as in :class:`CatGANClustering`.

    See Also
    --------
    VaDEClustering : Clusters and a density; no adversary.
    skdeepcluster.display.SamplesDisplay : Samples of each cluster, as a picture.

    Notes
    -----
    The objective is [1]_

    .. math::

        \min_{G, Q} \max_D V(D, G) - \lambda L_I(G, Q), \quad
        L_I = E_{c, x \sim G(z, c)}[\log Q(c | x)] + H(c) \leq I(c; G(z, c))

    with the generator's loss -log D(G). The information term is in the losses of both, because Q
    shares the discriminator's body. Five additions of this package use samples of X: "start",
    "smoothness", "information" and "style" train Q, "reconstruction" trains the generator.

    By default training begins with the partition of :class:`NeighborClustering`, and few labels
    change without ``augment``. With ``init="own"`` it begins with a mixture of an autoencoder's
    codes, and Q maximizes also the mutual information between samples and clusters [4]_. As
    published: ``init="own", pretraining_epochs=0, smoothness_weight=0, instance_noise=0,
    continuous_weight=0.1, learning_rate=2e-4, generator_learning_rate=1e-3`` with the
    convolutional pair.

    References
    ----------
    .. [1] X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel, "InfoGAN:
       Interpretable Representation Learning by Information Maximizing Generative Adversarial
       Nets", NeurIPS 2016.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.
    .. [3] K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
       and Adversarial Attacks", NeurIPS 2018.
    .. [4] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import InfoGANClustering
    >>> X = load_iris().data
    >>> gan = InfoGANClustering(3, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> gan.predict_proba(X).shape
    (150, 3)
    >>> gan.code_names_
    ['cluster', 'continuous0', 'continuous1']
    >>> gan.traverse("continuous0", [-1, 0, 1], cluster=2).shape
    (1, 3, 4)
    """

    _parameter_constraints = {
        "batch_size": BATCH_SIZE,
        "n_continuous": [Interval(Integral, 0, None, closed="left")],
        "other_categories": ["array-like"],
        "instance_noise": [WEIGHT],
        "generator_learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    _recipe = Recipe(rate=2e-3, steps=10, is_adversarial=True)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_continuous=2,
        other_categories=(),
        hidden_layer_sizes: Widths = "auto",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        kinds: Any = "auto",
        mi_weight=1.0,
        continuous_weight=0.5,
        instance_noise=0.1,
        init: Any = "neighbors",
        contamination=0.0,
        use_labels=False,
        init_weight=20.0,
        smoothness_weight=20.0,
        reconstruction_weight=100.0,
        pretraining_epochs: int | Auto = "auto",
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
        generator_learning_rate=1e-2,
        image_shape=None,
        generator=None,
        discriminator=None,
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
        widths = widths[:2]
        n_hidden = widths[-1] if widths else n_features
        sizes = check_widths("other_categories", self.other_categories)
        latent = LatentSpace(N_NOISE, [n_clusters, *sizes], self.n_continuous)
        mirror = partial(
            normalized_mlp, hidden_layer_sizes=widths[::-1], activation="relu"
        )
        perceptron = partial(mlp, hidden_layer_sizes=widths[:-1], activation=ACTIVATION)
        image = self.image_shape
        sizes = latent.n_inputs, n_features
        generator = make_network("generator", self.generator, *sizes, mirror, image)
        sizes = n_features, n_hidden
        body = make_network(
            "discriminator", self.discriminator, *sizes, perceptron, image
        )
        return InfoGAN(
            generator,
            nn.Sequential(body, ACTIVATIONS[ACTIVATION]()),
            mlp(n_hidden, 1, ()),
            mlp(n_hidden, latent.n_readings, (READER_WIDTH,), ACTIVATION),
            latent,
            likelihood,
            self._make_regularizer(OWN_SHARE),
            self.mi_weight,
            self.continuous_weight,
            self.instance_noise,
            self.reconstruction_weight,
        )

    def _train(self, model, training):
        settings = training.settings
        rate = self.generator_learning_rate / settings.learning_rate
        initial = find_in_codes(training)
        columns = {}
        if initial.resp is not None:
            shares = torch.from_numpy(initial.resp.mean(0, dtype="float64"))
            model.log_prior.copy_(shares.log().log_softmax(0))
            n_codes = self.n_continuous + NOISE_DIRECTIONS
            columns["style"] = find_style(
                training.data.likelihood.standardize,
                training.X,
                initial.resp,
                n_codes,
                training.random_state,
            )
        run = training.train(model, initial, rates={"generator.*": rate}, **columns)

        blocks = batches(training.X, settings.batch_size)
        x_std = (model.standardize(x.to(settings.device)) for x in blocks if len(x) > 1)
        update_bn(x_std, model.body)  # running statistics of samples of X alone
        set_marginal(model, training.X)
        return run

    def _describe(self, model, training):
        latent = model.latent
        self._n_features_out = sum(latent.sizes) + latent.n_continuous
        self.code_names_ = latent.names
        self.weights_ = model.log_prior.exp().cpu().numpy()

        def generate(n_samples):
            return _render(model, _draw(model, n_samples, training.random_state))

        found = compare_generated(model, training.X, generate, training.random_state)
        self.generator_distance_, self.generator_coverage_ = found
        if self.generator_distance_ > FAR_FROM_DATA or self.generator_coverage_ < FEW:
            warn_user(
                "Generated samples are unlike those of X: generator_distance_ = "
                f"{self.generator_distance_:.2f}, generator_coverage_ = "
                f"{self.generator_coverage_:.2f}. Train longer (max_epochs), or raise "
                "reconstruction_weight or generator_learning_rate."
            )

    # ---- predictions

    def score_samples(self, X) -> Reals:
        """KL(p(c|x) || p(c)) of each sample: its information about its cluster, in nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to score.

        Returns
        -------
        information : ndarray of shape (n_samples,), float64
            Without ``temperature_``; p(c) is the mean of p(c|x) over the training data.
        """
        return self._map("score", X)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked, and not used otherwise.

        Returns
        -------
        names : ndarray of str
            "cluster_0", ..., "category1_0", ..., "continuous0", ...
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        names = self.model_.latent.names
        sizes = self.model_.latent.sizes
        each = zip(names, sizes, strict=False)
        one_hot = [f"{name}_{value}" for name, size in each for value in range(size)]
        return np.array([*one_hot, *names[len(sizes) :]], dtype=object)

    def sample(
        self, n_samples: int = 1, cluster: int | None = None, codes=None
    ) -> Reals:
        """Generate samples from noise and codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Cluster to draw from. None: all clusters, in proportion to their weights.
        codes : mapping of str to number or array of shape (n_samples,), default=None
            Values of codes by their names in ``code_names_``; the others are random.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            In the units of X, and a table if X was one, with categories that are drawn. An int
            ``random_state`` gives the same samples on every call.
        """
        n_samples, stream = begin_sample(self, n_samples)
        drawn = self._draw_codes(n_samples, cluster, codes or {}, stream)
        return self.preparation_.decode(_render(self.model_, drawn), stream)

    def traverse(
        self, code: str, values=None, *, n_samples: int = 1, cluster: int | None = None
    ) -> Reals:
        """Generate samples that differ in one code only.

        Parameters
        ----------
        code : str
            One of ``code_names_``.
        values : array-like of shape (n_values,), default=None
            None: all values of a categorical code, else nine from -2 to 2.
        n_samples : int, default=1
            Number of samples of the noise and of the other codes.
        cluster : int, default=None
            Cluster to generate from.

        Returns
        -------
        X : ndarray of shape (n_samples, n_values, n_features)
            The samples in ``X[i]`` share the noise and all other codes. Those of a table have
            the most probable categories.
        """
        n_samples, stream = begin_sample(self, n_samples)
        drawn = self._draw_codes(n_samples, cluster, {}, stream)
        latent = self.model_.latent
        if values is None:
            index = latent.find(code)
            is_categorical = index < len(latent.sizes)
            values = np.arange(latent.sizes[index]) if is_categorical else SWEEP

        swept = (set_codes(latent, drawn, {code: value}) for value in np.ravel(values))
        rendered = (_render(self.model_, codes) for codes in swept)
        return np.stack([self.preparation_.decode(X) for X in rendered], 1)

    # ---- codes

    def _draw_codes(self, n_samples, cluster, codes, stream):
        """Return random Codes with the given cluster and the given values of others."""
        drawn = _draw(self.model_, n_samples, stream)
        if cluster is not None:
            codes = {**codes, "cluster": cluster}
        return set_codes(self.model_.latent, drawn, codes)


def _draw(model, n_samples, random_state):
    """Sample codes on the CPU."""
    with seeded(draw_seed(random_state)):
        return model.latent.draw(n_samples, model.log_prior.cpu())


def _render(model, codes):
    """Return the samples that a model generates from codes."""
    return apply(model, model.render, model.latent.inputs(codes).numpy())

"""InfoGANClustering: a GAN whose codes can be read back (Chen et al., 2016).

In the paper's notation, G is ``generator``, D ``critic`` of ``body``, Q ``head`` of ``body``, z
``Codes.noise``, c ``Codes.cluster`` and ``Codes.continuous``, lambda ``mi_weight``.

N samples, D features, K clusters, Z noise variables, C continuous codes.
"""

from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.utils._param_validation import Interval
from sklearn.utils.extmath import randomized_svd, svd_flip
from torch import Tensor, nn
from torch.nn.functional import mse_loss, nll_loss, one_hot
from torch.optim.swa_utils import update_bn

from .deep.adversarial import BATCH_SIZE, find_in_codes, set_marginal
from .deep.base import ClusteringMixin, DeepEstimator, EmbeddingMixin
from .deep.fit import Recipe, apply
from .functional.gaussian import log_prob_diag
from .functional.losses import called_fake, called_real
from .input.labels import cluster_means
from .input.parameters import WEIGHT, begin_sample, store_parameters
from .input.types import Auto, Labels, Reals, Widths
from .nn.model import AdversarialModel, OptimizerGroup, observed, regularize
from .nn.networks import ACTIVATIONS, make_network, mlp, normalized_mlp
from .nn.runtime import batches, map_rows, multinomial, rand, randn_like, seeded
from .utils.random import draw_seed

#: Number of noise variables, as in the paper.
N_NOISE_CODES = 62


class Codes(NamedTuple):
    """Noise (N, Z), clusters (N,), int64, and continuous codes (N, C) of generated samples."""

    noise: Tensor
    cluster: Tensor
    continuous: Tensor


class InfoGAN(AdversarialModel):
    """Information maximizing generative adversarial network.

    Noise variables and continuous codes are uniform on [-1, 1].

    Parameters
    ----------
    generator : Module, (N, Z + K + C) -> (N, D)
        From noise, one-hot clusters and continuous codes.
    body : Module, (N, D) -> (N, H)
        Shared by D and Q.
    critic, head : Module, (N, H) -> (N, 1) and (N, H) -> (N, K + 2 C)
        Logits of "real"; logits of clusters, means and log-stds of continuous codes.
    likelihood : Likelihood
    n_clusters, n_continuous : int
        K and C.
    regularizer : Regularizer
        Terms that keep Q's predictions for samples of X near the initial partition.
    mi_weight, continuous_weight, instance_noise, reconstruction_weight : float
        As in :class:`InfoGANClustering`.

    Attributes
    ----------
    log_prior : Tensor of shape (K,)
        Logarithms of the shares of the clusters in generated samples.
    """

    def __init__(
        self,
        generator,
        body,
        critic,
        head,
        likelihood,
        n_clusters,
        n_continuous,
        regularizer,
        mi_weight,
        continuous_weight,
        instance_noise,
        reconstruction_weight,
    ):
        super().__init__(likelihood, n_clusters)
        self.generator = generator
        self.body = body
        self.critic = critic
        self.head = head
        self.n_continuous = n_continuous
        self.regularizer = regularizer
        self.mi_weight = mi_weight
        self.continuous_weight = continuous_weight
        self.instance_noise = instance_noise
        self.reconstruction_weight = reconstruction_weight
        self.register_buffer("log_prior", self.log_marginal.clone())

    # ---- predictions

    def read(self, hidden):
        """Q(c|x) of outputs of the body: log-probabilities (N, K), means and log-stds (N, C)."""
        sizes = [len(self.log_prior), self.n_continuous, self.n_continuous]
        logits, mean, log_std = self.head(hidden).float().split(sizes, 1)
        # The loss grows with the square of an error in standard deviations.
        return logits.log_softmax(-1), mean, log_std.clamp(-3.0, 2.0)

    def log_resp_standardized(self, x_std):
        """Log Q(k|x) of the cluster, (N, K)."""
        return self.read(self.body(x_std))[0]

    def encode(self, x):
        """Posterior of the codes: probabilities of the clusters, continuous means."""
        log_p, mean, _ = self.read(self.body(self.standardize(x)))
        return torch.cat([log_p.exp(), mean], 1)

    def decode(self, code):
        """Generate samples for codes in the order of ``encode``, with noise variables at zero."""
        noise = code.new_zeros(len(code), N_NOISE_CODES)
        return self.render(torch.cat([noise, code], 1))

    # ---- generated samples

    def draw_codes(self, n_samples, device):
        """Sample codes: the cluster from its prior, all others uniformly."""
        cluster = multinomial(self.log_prior.exp().to(device), n_samples)
        noise = rand((n_samples, N_NOISE_CODES), device) * 2 - 1
        continuous = rand((n_samples, self.n_continuous), device) * 2 - 1
        return Codes(noise, cluster, continuous)

    def join(self, codes):
        """Return the generator's inputs for codes, (N, Z + K + C)."""
        cluster = one_hot(codes.cluster, len(self.log_prior))
        return torch.cat([codes.noise, cluster, codes.continuous], 1)

    def render(self, inputs):
        """Generate samples for the generator's inputs, in the units of the data."""
        return self.likelihood.mean(self.generator(inputs))

    def render_standardized(self, codes, x):
        """Generate standardized samples that miss the values that the samples x miss, (N, D)."""
        output = self.generator(self.join(codes))
        return observed(self.likelihood.standardized_mean(output), x)

    # ---- losses

    def discriminator_loss(self, batch):
        """D's cross-entropies for real and generated samples, and losses of Q."""
        x_std = self.standardize(batch.x)
        with torch.no_grad():
            codes = self.draw_codes(len(batch.x), batch.x.device)
            fake = self.render_standardized(codes, batch.x)
        real = self.body(self.add_noise(x_std))
        fake = self.body(self.add_noise(fake))
        terms = {
            "real": called_real(self.critic(real)),
            "fake": called_fake(self.critic(fake)),
        }
        terms |= self.information_loss(fake, codes)
        if batch.initial is not None or self.regularizer.information_weight:
            terms |= self.sample_loss(x_std, batch)
        return terms

    def generator_loss(self, batch):
        """G's non-saturating loss -log D(G), -lambda L_I, and a reconstruction that fades."""
        codes = self.draw_codes(len(batch.x), batch.x.device)
        fake = self.render_standardized(codes, batch.x)
        hidden = self.body(self.add_noise(fake))
        terms = {"adversarial": called_real(self.critic(hidden))}
        terms |= self.information_loss(hidden, codes)
        if self.reconstruction_weight and batch.initial is not None:
            weight = self.reconstruction_weight * (1 - self.progress)
            terms["reconstruction"] = weight * self.reconstruction_loss(batch)
        return terms

    def information_loss(self, hidden, codes):
        """-lambda L_I without the constant H(c): the weighted -log Q(c|x) of codes, in nats."""
        log_p, mean, log_std = self.read(hidden)
        continuous = continuous_loss(mean, log_std, codes.continuous)
        return {
            "category": self.mi_weight * nll_loss(log_p, codes.cluster),
            "continuous": self.mi_weight * self.continuous_weight * continuous,
        }

    def sample_loss(self, x_std, batch):
        """Terms of the regularizer, and of Q's reading of the style, for samples of X."""
        log_p, mean, log_std = self.read(self.body(x_std))
        terms = regularize(self, batch, x_std, log_p)
        if batch.initial is not None:
            style = batch.columns["style"][:, : self.n_continuous]
            terms["style"] = continuous_loss(mean, log_std, style)
        return terms

    def reconstruction_loss(self, batch):
        """Mean squared error, standardized, of samples generated from the codes of the batch.

        The clusters are the initial ones. The style gives continuous codes, then noise; others are
        random.
        """
        codes = self.draw_codes(len(batch.x), batch.x.device)
        continuous, noise = batch.columns["style"].tensor_split([self.n_continuous], 1)
        codes.cluster.copy_(batch.initial.argmax(1))
        codes.continuous[:, : continuous.shape[1]] = continuous
        codes.noise[:, : noise.shape[1]] = noise
        rendered = self.render_standardized(codes, batch.x)
        return mse_loss(rendered, self.standardize(batch.x))

    def add_noise(self, x_std):
        """Add instance noise to standardized samples."""
        std = self.instance_noise
        return x_std + std * randn_like(x_std) if std else x_std

    def optimizer_groups(self):
        """Discriminator with Q, then generator."""
        judges = [self.body, self.critic, self.head]
        return (
            OptimizerGroup("discriminator", judges, self.discriminator_loss),
            OptimizerGroup("generator", [self.generator], self.generator_loss),
        )


def continuous_loss(mean, log_std, continuous):
    """Mean Gaussian negative log-likelihood of the first continuous codes, (N, <= C)."""
    n_codes = continuous.shape[1]
    log_var = 2 * log_std[:, :n_codes]
    return -log_prob_diag(continuous, mean[:, :n_codes], log_var).mean()


# ---- continuous codes of samples: ranks along principal directions


def find_style(standardize, X, resp, n_codes, random_state):
    """Find continuous codes of samples by within-cluster PCA, (N, at most n_codes), float32.

    The differences between standardized samples and their cluster means, by responsibilities
    (N, K), are projected on their principal directions. A code is the rank of a sample within its
    cluster, scaled to [-1, 1]: uniform in every cluster and uncorrelated, like the generator's
    inputs. There are fewer than ``n_codes`` if the samples differ in fewer directions.
    """
    n_samples, n_features = X.shape
    n_drawn = max(256, 2**22 // n_features)
    some = np.sort(random_state.permutation(n_samples)[:n_drawn])

    x_std = map_rows(standardize, X[some])
    means = cluster_means(resp[some], x_std)
    centered = x_std - resp[some] @ means
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
    u, lengths, directions = randomized_svd(
        centered,
        n_codes,
        power_iteration_normalizer="QR",
        random_state=random_state,
    )
    _, directions = svd_flip(u, directions, u_based_decision=False)
    return directions[lengths > 1e-6 * np.linalg.norm(centered)]


# ---- the estimator

#: Activation of D and Q.
ACTIVATION = "leaky_relu"


class InfoGANClustering(EmbeddingMixin, ClusteringMixin, DeepEstimator):
    r"""Generative adversarial network whose codes can be read from samples (InfoGAN).

    A generator makes samples from noise and codes, a discriminator judges them, and Q reads the
    codes back. One code has ``n_clusters`` values: what Q reads in a sample is its cluster. The
    model adds continuous codes for what else varies. ``transform`` returns the probabilities of
    the clusters, then the continuous codes; ``inverse_transform`` generates samples from them.

    Parameters
    ----------
    n_clusters : int, (int, int) or "auto"
        Number of clusters: values of the categorical code. With "auto" or bounds (lowest,
        highest), ``init`` finds the number.
    n_continuous : int
        Number of continuous codes, uniform on [-1, 1].
    mi_weight : float
        Weight lambda of the information term.
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
    weights_ : ndarray of shape (n_clusters,)
        Shares of the clusters in generated samples.
    model_ : InfoGAN
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        ``"discriminator_"`` followed by real, fake, category, continuous, initial, smoothness,
        information or style, and ``"generator_"`` followed by adversarial, category, continuous or
        reconstruction (a squared error).

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
    shares the discriminator's body. Five additions of this package use samples of X: "initial",
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
    >>> gan.transform(X).shape  # probabilities of 3 clusters, 2 continuous codes
    (150, 5)
    """

    _parameter_constraints = {
        "batch_size": BATCH_SIZE,
        "n_continuous": [Interval(Integral, 0, None, closed="left")],
        "instance_noise": [WEIGHT],
        "generator_learning_rate": [Interval(Real, 0, None, closed="neither")],
    }

    _recipe = Recipe(rate=2e-3, steps=10, is_adversarial=True)

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        n_continuous=2,
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
        n_continuous = self.n_continuous
        generator = make_network(
            "generator",
            self.generator,
            N_NOISE_CODES + n_clusters + n_continuous,
            n_features,
            partial(normalized_mlp, hidden_layer_sizes=widths[::-1], activation="relu"),
            self.image_shape,
        )
        body = make_network(
            "discriminator",
            self.discriminator,
            n_features,
            n_hidden,
            partial(mlp, hidden_layer_sizes=widths[:-1], activation=ACTIVATION),
            self.image_shape,
        )
        n_read = n_clusters + 2 * n_continuous
        return InfoGAN(
            generator,
            nn.Sequential(body, ACTIVATIONS[ACTIVATION]()),
            mlp(n_hidden, 1, ()),
            mlp(n_hidden, n_read, (128,), ACTIVATION),
            likelihood,
            n_clusters,
            n_continuous,
            self._make_regularizer(own_share=0.5),
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
            # Eight noise variables stand for further principal directions.
            columns["style"] = find_style(
                training.data.likelihood.standardize,
                training.X,
                initial.resp,
                self.n_continuous + 8,
                training.random_state,
            )
        run = training.train(model, initial, rates={"generator.*": rate}, **columns)

        blocks = batches(training.X, settings.batch_size)
        x_std = (model.standardize(x.to(settings.device)) for x in blocks if len(x) > 1)
        update_bn(x_std, model.body)  # running statistics of samples of X alone
        set_marginal(model, training.X)
        return run

    def _describe(self, model, training):
        self._n_features_out = len(model.log_prior) + self.n_continuous
        self.weights_ = model.log_prior.exp().cpu().numpy()

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

    def sample(
        self, n_samples: int = 1, cluster: int | None = None
    ) -> tuple[Reals, Labels]:
        """Generate samples from noise and codes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Cluster to draw from. None: all clusters, in proportion to their weights.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            In the units of X, and a table if X was one, with categories that are drawn. An int
            ``random_state`` gives the same samples on every call.
        y : ndarray of shape (n_samples,)
            Cluster that each sample was generated from.
        """
        n_samples, stream = begin_sample(self, n_samples, cluster)
        model = self.model_
        with seeded(draw_seed(stream)):
            codes = model.draw_codes(n_samples, "cpu")
        if cluster is not None:
            codes.cluster.fill_(cluster)
        X = apply(model, model.render, model.join(codes).numpy())
        return self.preparation_.decode(X, stream), codes.cluster.numpy()

r"""InfoGANClustering: a GAN whose codes can be read back from what it generates (Chen et al., 2016).

Generator G makes rows from noise z and codes c; a discriminator D tells them from real ones, and Q,
which shares all of D but the last layers, reads the codes back. With L_I a lower bound on the
mutual information of codes and generated rows,

    min_{G,Q} max_D  V(D, G) - lambda L_I(G, Q),    L_I = E[log Q(c | G(z, c))] + H(c)
    D: softplus(-l_real) + softplus(l_fake)         G: softplus(-l_fake)

the term -lambda L_I stands in the losses of both players, because Q moves with D. Clusters of
real rows are argmax_c Q(c | x).

========================  ==========================================
in the paper              here
========================  ==========================================
G, D, Q                   ``generator``; ``body`` and ``critic``; ``body`` and ``reader``
z; c                      ``Codes.noise``; ``Codes.categories``, ``Codes.continuous``
Q(c | x)                  ``Reading``
lambda                    ``mi_weight``
========================  ==========================================

X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever and P. Abbeel, InfoGAN: Interpretable
Representation Learning by Information Maximizing Generative Adversarial Nets, NeurIPS 2016.
"""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from ._codes import CodesMixin
from ._estimator import DeepEstimator
from ._mixins import AssignMixin
from ._start import PartitionMixin
from ._style import style_start
from .engine.batches import Rows
from .functional.adversarial import called_fake, called_real
from .functional.information import kl_divergence
from .modules.gan_networks import normalized_mlp
from .modules.game import Game, Player
from .modules.latent import LatentSpace
from .modules.networks import ACTIVATIONS, mlp
from .modules.start import NOTHING, Keep

#: AdamW's, for the game (Radford et al., 2016, for the first).
BETAS = (0.5, 0.99)
#: Width of the hidden layer with which Q reads the body, as in the paper.
READER = 128


class InfoGAN(Game):
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
    mi_weight : float, default=1.0
        lambda. At 0 D and G are a plain GAN, and Q reads along without being heard.
    continuous_weight : float, default=0.1
        Of continuous codes within the information term.
    instance_noise : float, default=0.0
        Standard deviation of noise on what D judges and Q reads in training.
    keep : Keep, default=NOTHING
        Terms on real rows while there is a start to keep to; none by default.
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
        continuous_weight=0.1,
        instance_noise=0.0,
        style_weight=0.0,
        keep=NOTHING,
    ):
        super().__init__()
        self.generator, self.body, self.critic, self.reader = generator, body, critic, reader
        self.latent, self.likelihood, self.keep = latent, likelihood, keep
        self.mi_weight, self.continuous_weight = mi_weight, continuous_weight
        self.instance_noise, self.style_weight = instance_noise, style_weight
        uniform = torch.zeros(latent.sizes[0]).log_softmax(0)
        self.register_buffer("log_prior", uniform)
        self.register_buffer("log_marginal", uniform.clone())

    # ---- answers

    def read(self, x):
        """Q(c|x) of rows, a Reading."""
        return self.latent.read(self.reader(self.body(self.likelihood.standardize(x))))

    def log_resp(self, x):
        """Log Q(k|x) of the cluster, (N, K)."""
        return self.read(x).log_probs[0]

    def log_gamma(self, seen):
        """Log Q(k|x) of standardised rows, (N, K)."""
        return self.latent.read(self.reader(self.body(seen))).log_probs[0]

    def encode(self, x):
        """Posterior of all codes: probabilities of the categories, continuous means."""
        reading = self.read(x)
        return torch.cat([*(log_p.exp() for log_p in reading.log_probs), reading.mean], 1)

    def decode(self, code):
        """Rows for codes in the layout of ``encode``, at noise zero, in the user's units."""
        noise = code.new_zeros(len(code), self.latent.n_noise)
        return self.render(torch.cat([noise, code], 1))

    def render(self, inputs):
        """Rows for inputs (N, latent.n_inputs) of the generator, in the user's units."""
        return self.likelihood.mean(self.generator(inputs))

    def information(self, x):
        """KL(Q(k|x) || mean of Q over the rows trained on), (N,): its mean is I(x; k)."""
        log_p = self.log_resp(x).double()
        return kl_divergence(log_p, self.log_marginal.double())

    # ---- losses

    def discriminator_loss(self, x, start=None, style=None):
        """D's two sides of V, -lambda L_I, and with a start what keeps to it.

        ``start`` (N, K) are responsibilities, ``style`` (N, at most C) continuous codes.
        """
        seen = self.likelihood.standardize(x)
        with torch.no_grad():
            fake, codes = self.generate(len(x))
        real_hidden, fake_hidden = self.body(self.blurred(seen)), self.body(self.blurred(fake))
        terms = {
            "real": called_real(self.critic(real_hidden)),
            "fake": called_fake(self.critic(fake_hidden)),
        }
        if not self.mi_weight:
            fake_hidden = fake_hidden.detach()
        terms |= self.misread(fake_hidden, codes, self.mi_weight or 1.0)
        terms |= self.keep.terms(self.log_gamma, seen, start)
        if self.style_weight and style is not None and style.shape[1]:
            reading = self.latent.read(self.reader(self.body(seen)))
            terms["style"] = self.style_weight * self.latent.misread_continuous(reading, style)
        return terms

    def generator_loss(self, x, start=None, style=None):
        """G's side of V, and -lambda L_I."""
        fake, codes = self.generate(len(x))
        hidden = self.body(self.blurred(fake))
        terms = {"adversarial": called_real(self.critic(hidden))}
        if self.mi_weight:
            terms |= self.misread(hidden, codes, self.mi_weight)
        return terms

    def generate(self, n_rows):
        """Standardised rows (N, D) from drawn codes, and the codes."""
        codes = self.latent.draw(n_rows, self.log_prior)
        return self.likelihood.standardize(self.render(self.latent.inputs(codes))), codes

    def blurred(self, seen):
        """Rows with instance noise."""
        if not self.instance_noise:
            return seen
        return seen + self.instance_noise * torch.randn_like(seen)

    def misread(self, hidden, codes, weight):
        """Weighted costs of Q's reading: -lambda L_I up to the constant H(c)."""
        costs = self.latent.misread(self.latent.read(self.reader(hidden)), codes)
        weights = {"category": weight, "continuous": weight * self.continuous_weight}
        return {name: weights[name] * cost for name, cost in costs.items()}

    def players(self):
        """Discriminator (with Q), generator."""
        judge = [self.body, self.critic, self.reader]
        return (
            Player("discriminator", judge, self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


class InfoGANClustering(AssignMixin, CodesMixin, PartitionMixin, DeepEstimator):
    """Doc."""

    _parameter_constraints = {
        **DeepEstimator._parameter_constraints,
        **PartitionMixin._parameter_constraints,
        "n_noise": [Interval(Integral, 0, None, closed="left")],
        "n_continuous": [Interval(Integral, 0, None, closed="left")],
        "other_categories": ["array-like"],
        "mi_weight": [Interval(Real, 0, None, closed="left")],
        "continuous_weight": [Interval(Real, 0, None, closed="left")],
        "style_weight": [Interval(Real, 0, None, closed="left")],
        "instance_noise": [Interval(Real, 0, None, closed="left")],
        "generator_learning_rate": [Interval(Real, 0, None, closed="neither")],
        "generator": [callable, None],
        "discriminator": [callable, None],
    }

    STEPS = 10.0

    def __init__(
        self,
        n_clusters=8,
        *,
        n_noise=62,
        n_continuous=2,
        other_categories=(),
        n_components=10,
        hidden_layer_sizes=(500, 500, 2000),
        activation="leaky_relu",
        likelihood="auto",
        mi_weight=1.0,
        continuous_weight=0.1,
        instance_noise=0.1,
        init="neighbors",
        start_weight=5.0,
        smoothness_weight=5.0,
        style_weight=1.0,
        mixture_n_init=10,
        pretraining_epochs="auto",
        max_epochs="auto",
        batch_size=256,
        learning_rate=1e-3,
        generator_learning_rate=1e-3,
        n_init=1,
        generator=None,
        discriminator=None,
        precision="float32",
        compile=False,
        callbacks=None,
        device="auto",
        warm_start=False,
        verbose=0,
        accept_sparse=False,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.n_noise = n_noise
        self.n_continuous = n_continuous
        self.other_categories = other_categories
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.mi_weight = mi_weight
        self.continuous_weight = continuous_weight
        self.instance_noise = instance_noise
        self.init = init
        self.start_weight = start_weight
        self.smoothness_weight = smoothness_weight
        self.style_weight = style_weight
        self.mixture_n_init = mixture_n_init
        self.pretraining_epochs = pretraining_epochs
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.generator_learning_rate = generator_learning_rate
        self.n_init = n_init
        self.generator = generator
        self.discriminator = discriminator
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose
        self.accept_sparse = accept_sparse
        self.random_state = random_state

    def _build(self, n_features, likelihood):
        sizes = list(self.other_categories)
        if not all(isinstance(size, Integral) and size > 0 for size in sizes):
            raise ValueError(f"other_categories must be positive whole numbers, got {sizes}.")
        latent = LatentSpace(self.n_noise, [self.n_clusters, *sizes], self.n_continuous)
        generator = self._generator(latent.n_inputs, n_features)
        body, n_hidden = self._body(n_features)
        model = InfoGAN(
            generator,
            body,
            mlp(n_hidden, 1, ()),
            mlp(n_hidden, latent.n_readings, (READER,), self.activation),
            latent,
            likelihood,
            self.mi_weight,
            self.continuous_weight,
            self.instance_noise,
            self.style_weight,
            Keep(self.start_weight, self.smoothness_weight),
        )
        model.rates = {"generator.*": self.generator_learning_rate / self.learning_rate}
        return model

    def _body(self, n_features):
        """What D and Q share, and its width: all but the last layer of a perceptron."""
        widths = list(self.hidden_layer_sizes)[:2] or [n_features]
        if self.discriminator is None:
            body = mlp(n_features, widths[-1], widths[:-1], self.activation)
        else:
            body = self._network("discriminator", n_features, widths[-1])
        return nn.Sequential(body, ACTIVATIONS[self.activation]()), widths[-1]

    def _generator(self, n_inputs, n_features):
        """The user's network, or the mirrored perceptron with batch normalisation."""
        if self.generator is not None:
            return self._network("generator", n_inputs, n_features)
        widths = list(self.hidden_layer_sizes)[:2][::-1]
        return normalized_mlp(n_inputs, n_features, widths, "relu")

    def _prepare(self, model, X, random_state, is_new):
        prepared = super()._prepare(model, X, random_state, is_new)
        if not prepared.rows.columns:
            return prepared
        (resp,) = prepared.rows.columns
        if is_new:
            shares = torch.as_tensor(resp.mean(0, dtype="float64"))
            model.log_prior.copy_(shares.log().log_softmax(0))
            style = style_start(model.likelihood, X, resp, self.n_continuous, random_state)
        else:
            style = self._answers(model, lambda x: model.read(x).mean, X)
        return prepared._replace(rows=Rows(X, resp, style))

    def _train(self, model, rows, random_state, **changes):
        betas = {"betas": BETAS} if isinstance(model, InfoGAN) else {}
        return super()._train(model, rows, random_state, **betas | changes)

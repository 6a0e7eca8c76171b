"""The game of InfoGAN: a generator whose codes can be read back from what it makes.

Generator G makes rows from noise z and codes c; a discriminator D tells them from real ones, and
Q, which shares all of D but the last layers, reads the codes back. With L_I a lower bound on the
mutual information of codes and generated rows::

    min_{G,Q} max_D  V(D, G) - lambda L_I(G, Q),    L_I = E[log Q(c | G(z, c))] + H(c)
    D: softplus(-l_real) + softplus(l_fake)         G: softplus(-l_fake)

The term -lambda L_I stands in the losses of both players, because Q moves with D. Clusters of
real rows are argmax_c Q(c | x).

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

Reference: X. Chen et al., "InfoGAN: Interpretable Representation Learning by Information
Maximizing Generative Adversarial Nets", NeurIPS 2016.
"""

import torch
from torch import Tensor, nn

from ..functional.adversarial import called_fake, called_real
from ..functional.information import kl_divergence
from .game import Game, Player
from .latent import Codes, LatentSpace, Reading
from .likelihood import Likelihood
from .start import NOTHING, Keep


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
    continuous_weight : float, default=1.0
        Of continuous codes within the information term.
    instance_noise : float, default=0.0
        Standard deviation of noise on what D judges and Q reads in training.
    style_weight : float, default=0.0
        Of continuous codes that real rows are given to begin with.
    keep : Keep, default=NOTHING
        Terms on real rows while there is a start to keep to; none by default.
    """

    #: Radford et al., 2016, for the first.
    betas = (0.5, 0.99)

    log_prior: Tensor
    log_marginal: Tensor

    def __init__(
        self,
        generator: nn.Module,
        body: nn.Module,
        critic: nn.Module,
        reader: nn.Module,
        latent: LatentSpace,
        likelihood: Likelihood,
        mi_weight: float = 1.0,
        continuous_weight: float = 1.0,
        instance_noise: float = 0.0,
        style_weight: float = 0.0,
        keep: Keep = NOTHING,
    ) -> None:
        super().__init__()
        self.generator, self.body, self.critic, self.reader = generator, body, critic, reader
        self.latent, self.likelihood, self.keep = latent, likelihood, keep
        self.mi_weight, self.continuous_weight = mi_weight, continuous_weight
        self.instance_noise, self.style_weight = instance_noise, style_weight
        uniform = torch.zeros(latent.sizes[0]).log_softmax(0)
        self.register_buffer("log_prior", uniform)
        self.register_buffer("log_marginal", uniform.clone())

    # ---- answers

    def read(self, x: Tensor) -> Reading:
        """Q(c|x) of rows, a Reading."""
        return self.latent.read(self.reader(self.body(self.likelihood.standardize(x))))

    def log_resp(self, x: Tensor) -> Tensor:
        """Log Q(k|x) of the cluster, (N, K)."""
        return self.read(x).log_probs[0]

    def log_gamma(self, seen: Tensor) -> Tensor:
        """Log Q(k|x) of standardised rows, (N, K)."""
        return self.latent.read(self.reader(self.body(seen))).log_probs[0]

    def encode(self, x: Tensor) -> Tensor:
        """Posterior of all codes: probabilities of the categories, continuous means."""
        reading = self.read(x)
        return torch.cat([*(log_p.exp() for log_p in reading.log_probs), reading.mean], 1)

    def decode(self, code: Tensor) -> Tensor:
        """Rows for codes in the layout of ``encode``, at noise zero, in the user's units."""
        noise = code.new_zeros(len(code), self.latent.n_noise)
        return self.render(torch.cat([noise, code], 1))

    def render(self, inputs: Tensor) -> Tensor:
        """Rows for inputs (N, latent.n_inputs) of the generator, in the user's units."""
        return self.likelihood.mean(self.generator(inputs))

    def information(self, x: Tensor) -> Tensor:
        """KL(Q(k|x) || mean of Q over the rows trained on), (N,): its mean is I(x; k)."""
        log_p = self.log_resp(x).double()
        return kl_divergence(log_p, self.log_marginal.double())

    # ---- losses

    def discriminator_loss(
        self, x: Tensor, start: Tensor | None = None, style: Tensor | None = None
    ) -> dict[str, Tensor]:
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

    def generator_loss(
        self, x: Tensor, start: Tensor | None = None, style: Tensor | None = None
    ) -> dict[str, Tensor]:
        """G's side of V, and -lambda L_I."""
        fake, codes = self.generate(len(x))
        hidden = self.body(self.blurred(fake))
        terms = {"adversarial": called_real(self.critic(hidden))}
        if self.mi_weight:
            terms |= self.misread(hidden, codes, self.mi_weight)
        return terms

    def generate(self, n_rows: int) -> tuple[Tensor, Codes]:
        """Standardised rows (N, D) from drawn codes, and the codes."""
        codes = self.latent.draw(n_rows, self.log_prior)
        return self.likelihood.standardize(self.render(self.latent.inputs(codes))), codes

    def blurred(self, seen: Tensor) -> Tensor:
        """Rows with instance noise."""
        if not self.instance_noise:
            return seen
        return seen + self.instance_noise * torch.randn_like(seen)

    def misread(self, hidden: Tensor, codes: Codes, weight: float) -> dict[str, Tensor]:
        """Weighted costs of Q's reading: -lambda L_I up to the constant H(c)."""
        costs = self.latent.misread(self.latent.read(self.reader(hidden)), codes)
        weights = {"category": weight, "continuous": weight * self.continuous_weight}
        return {name: weights[name] * cost for name, cost in costs.items()}

    def players(self) -> tuple[Player, ...]:
        """Discriminator (with Q), generator."""
        judge = [self.body, self.critic, self.reader]
        return (
            Player("discriminator", judge, self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )

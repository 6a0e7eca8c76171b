"""The networks and losses of an InfoGAN (Chen et al., 2016).

In the paper's notation, G is ``generator``, D ``critic`` of ``body``, Q ``reader`` of ``body``, z
``Codes.noise``, c ``Codes.categories`` and ``Codes.continuous``, lambda ``mi_weight``.
"""

import numpy as np
import torch
from torch.nn.functional import mse_loss

from ..functional.losses import called_fake, called_real
from ..input.checks import check_finite
from ..modules.model import NO_REGULARIZER, AdversarialModel, Player, observed
from ..modules.runtime import randn_like

#: Parameters of :class:`InfoGAN` that weight its losses and noise, at least 0.
WEIGHTS = (
    "mi_weight",
    "continuous_weight",
    "instance_noise",
    "style_weight",
    "reconstruction_weight",
)


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
    mi_weight, continuous_weight, instance_noise, style_weight, reconstruction_weight : float
        As in :class:`InfoGANClustering`, with other defaults.
    regularizer : Regularizer, default=NO_REGULARIZER
        Terms that keep Q's predictions for samples of X near an anchor.
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
        self.style_weight = style_weight
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

    def fitted_attributes(self):
        """Names of the codes, and the probabilities of the clusters in generated samples."""
        return {"code_names_": self.latent.names, "weights_": self.log_prior.exp()}

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
        if batch.anchor is not None:
            terms |= self.hold(x_std, batch)
        return terms

    def hold(self, x_std, batch):
        """Terms of the regularizer, and of Q's reading of the style."""
        reading = self.read_standardized(x_std)
        view_std = x_std
        log_p = reading.log_probs[0]
        if batch.augmented is not None:
            view_std = self.standardize(batch.augmented)
            log_p = self.log_resp_standardized(view_std)
        terms = self.regularizer.terms(
            self.log_resp_standardized, view_std, batch.anchor, log_p, self.progress
        )
        if self.style_weight and "style" in batch.columns:
            style = batch.columns["style"][:, : self.latent.n_continuous]
            loss = self.latent.continuous_loss(reading, style)
            terms["style"] = self.style_weight * loss
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
        if len(value) not in (1, len(column)):
            raise ValueError(
                f"Code {name!r} must be a number "
                f"or have shape ({len(column)},), got {value}."
            )

        if index < len(latent.sizes):
            size = latent.sizes[index]
            if not np.isin(value, range(size)).all():
                raise ValueError(
                    f"Code {name!r} must be whole numbers "
                    f"from 0 to {size - 1}, got {value}."
                )

        column.copy_(torch.as_tensor(value, device="cpu"))
    return codes._replace(categories=categories, continuous=continuous)

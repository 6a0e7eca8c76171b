"""Encoders with a Gaussian head, and the auto-encoder that pretrains networks."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .game import Game, Player
from .likelihood import Likelihood
from .start import masked


class GaussianEncoder(nn.Module):
    """q(z | x) = N(mean(x), diag std(x)^2), from a network with twice as many outputs as codes.

    Parameters
    ----------
    network : Module, (N, D) -> (N, 2 L)
        Means in the first L outputs, log-variances (up to ``LOG_VAR``) in the others.
    """

    #: Added to the network's log-variances: codes start almost without noise, or the shock of it
    #: erases what the means have learnt.
    LOG_VAR = -4.0

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the code, (N, L) each."""
        mean, log_var = self.network(x).float().chunk(2, dim=-1)
        return mean, (0.5 * (log_var + self.LOG_VAR).clamp(-16.0, 16.0)).exp()

    def mean(self, x: Tensor) -> Tensor:
        """Mean of the code, (N, L)."""
        return self(x)[0]


class PointEncoder(nn.Module):
    """A code without noise, from a network with as many outputs.

    Parameters
    ----------
    network : Module, (N, D) -> (N, L)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Code, (N, L)."""
        return self.network(x).float()

    def mean(self, x: Tensor) -> Tensor:
        """Code, (N, L)."""
        return self(x)


class CodeGame(Game):
    """A model with codes: from rows to codes and back, in the units of the likelihood.

    Parameters
    ----------
    encoder : GaussianEncoder or PointEncoder, of standardised rows
    decoder : Module, (N, L) -> (N, D)
    likelihood : Likelihood
    """

    rates = {"likelihood.*": 10.0}

    def __init__(
        self, encoder: GaussianEncoder | PointEncoder, decoder: nn.Module, likelihood: Likelihood
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood

    def encode(self, x: Tensor) -> Tensor:
        """Code of a row, or its mean, (N, L)."""
        return self.encoder.mean(self.likelihood.standardize(x))

    def decode(self, z: Tensor) -> Tensor:
        """E[x|z] in the units of the data, (N, D)."""
        return self.likelihood.mean(self.decoder(z))


#: Decoder calls that average over samples of z are made for this many at a time.
SAMPLES_AT_ONCE = 16


def decoded_samples(
    model: CodeGame, x: Tensor, mean: Tensor, std: Tensor, noise: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Noise (S, L), z = mean + std * noise (S, N, L) and log p(x|z) (S, N), some S at a time.

    Parameters
    ----------
    model : CodeGame
    x : Tensor of shape (N, D)
    mean, std : Tensor of shape (N, L)
        Of q(z|x).
    noise : Tensor of shape (S, L)
        The same for every row.
    """
    for some in noise.split(SAMPLES_AT_ONCE):
        z = mean + std * some[:, None, :].float()
        decoded = model.decoder(z.flatten(0, 1)).view(*z.shape[:2], -1)
        yield some, z, model.likelihood.log_prob(x.expand(len(some), *x.shape), decoded)


def expected_log_prob(
    model: CodeGame, x: Tensor, mean: Tensor, std: Tensor, noise: Tensor
) -> Tensor:
    """E_q[log p(x|z)] of each row, (N,), float64: the mean over the samples of the noise."""
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for _, _, log_x in decoded_samples(model, x, mean, std, noise):
        total += log_x.double().sum(0)
    return total / len(noise)


class Autoencoder(CodeGame):
    """Denoising auto-encoder: rebuild x from a code of x with some features set to zero.

    Minimises -E log p(x | decoder(encoder(mask * x))), mask ~ Bernoulli(1 - masking) (Vincent et
    al., Extracting and composing robust features with denoising autoencoders, ICML 2008). The
    masked features are drawn anew for every batch; zero is the feature's minimum (Bernoulli) or
    its mean (Gaussian).

    Parameters
    ----------
    encoder : GaussianEncoder or PointEncoder
        Only its means are trained.
    decoder : Module, (N, L) -> (N, D)
    likelihood : Likelihood
    masking : float, default=0.25
        Share of the features set to zero.
    """

    def __init__(
        self,
        encoder: GaussianEncoder | PointEncoder,
        decoder: nn.Module,
        likelihood: Likelihood,
        masking: float = 0.25,
    ) -> None:
        super().__init__(encoder, decoder, likelihood)
        self.masking = masking

    def loss(self, x: Tensor) -> dict[str, Tensor]:
        """Mean error of the rebuilt rows."""
        seen = self.likelihood.standardize(x)
        code = self.encoder.mean(masked(seen, self.masking))
        return {"reconstruction": -self.likelihood.log_prob(x, self.decoder(code)).mean()}

    def players(self) -> tuple[Player, ...]:
        """One player."""
        return (Player("autoencoder", [self], self.loss),)

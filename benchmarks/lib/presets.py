"""Settings of the papers, as parameters: ``VaDEClustering(10, **PAPERS["VaDEClustering"])``.

They are for images of MNIST and may train for hours; the defaults are for tables and images of any
size. What a paper leaves open keeps the default, and so does the learning rate schedule (one
cycle; pass an ``LRScheduler`` of skorch as callback). AdamW without weight decay is Adam.
"""

from functools import partial
from typing import Any

from torch import nn

from skdeepcluster.nn.networks import conv_discriminator, conv_generator, normalized_mlp
from skdeepcluster.nn.runtime import randn_like

#: Shape of the images of MNIST.
_IMAGE = (1, 28, 28)


class GaussianNoise(nn.Module):
    """Noise with a standard deviation of 0.3, in training."""

    def forward(self, x):
        """Add the noise."""
        return x + 0.3 * randn_like(x) if self.training else x


def noisy_mlp(n_in, n_out):
    """Return the discriminator of CatGAN, with noise before every linear layer."""
    layers = []
    for layer in normalized_mlp(n_in, n_out, (1000, 500, 250, 250, 250)):
        if isinstance(layer, nn.Linear):
            layers.append(GaussianNoise())
        layers.append(layer)
    return nn.Sequential(*layers)


#: Parameters of each estimator in its paper's experiments on MNIST.
PAPERS: dict[str, dict[str, Any]] = {
    # D. P. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, section 5.
    "VAEEmbedding": {
        "hidden_layer_sizes": (500,),
        "activation": "tanh",
        "n_components": 20,
        "kl_warm_up": 0.0,
        "init": "own",
        "batch_size": 100,
    },
    # Z. Jiang et al., "Variational Deep Embedding", IJCAI 2017, section 4.
    "VaDEClustering": {
        "hidden_layer_sizes": (500, 500, 2000),
        "n_components": 10,
        "objective": "published",
        "init": "own",
        "smoothness_weight": 0.0,
        "learning_rate": 2e-3,
        "batch_size": 100,
        "max_epochs": 300,
    },
    # W. Harchaoui et al., "Deep adversarial Gaussian mixture autoencoder", ICLR 2017 workshop.
    "DACClustering": {
        "hidden_layer_sizes": (500, 500, 2000),
        "n_components": 10,
        "init": "own",
        "smoothness_weight": 0.0,
    },
    # X. Chen et al., "InfoGAN", NeurIPS 2016, appendix C.1: 5,000 steps.
    "InfoGANClustering": {
        "generator": partial(
            conv_generator, image_shape=_IMAGE, channels=(64, 128), n_hidden=1024
        ),
        "discriminator": partial(conv_discriminator, image_shape=_IMAGE, channels=(64, 128)),
        "hidden_layer_sizes": (1024, 1024),
        "n_continuous": 2,
        "continuous_weight": 0.1,
        "instance_noise": 0.0,
        "init": "own",
        "smoothness_weight": 0.0,
        "pretraining_epochs": 0,
        "learning_rate": 2e-4,
        "generator_learning_rate": 1e-3,
        "batch_size": 128,
        "max_epochs": 10,
    },
    # J. T. Springenberg, "... Categorical Generative Adversarial Networks", ICLR 2016, section 4;
    # their generator has 128 inputs.
    "CatGANClustering": {
        "generator": partial(normalized_mlp, hidden_layer_sizes=(500, 500, 1000)),
        "discriminator": noisy_mlp,
        "fake_weight": 1.0,
        "smoothness_weight": 0.0,
        "init": "own",
        "pretraining_epochs": 0,
        "learning_rate": 2e-4,
        "batch_size": 100,
    },
}

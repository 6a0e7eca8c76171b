"""CatGANClustering: categorical generative adversarial network (Springenberg, 2016).

In the paper's notation, D is ``discriminator`` (logits), G ``generator``, p(y | x, D) the
exponential of ``log_resp``, and p_bar the mean of p(y | x) over a batch.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from torch.nn.functional import nll_loss

from .deep.adversarial import BATCH_SIZE, find_in_codes, set_marginal
from .deep.base import ClusteringMixin, DeepEstimator
from .deep.fit import Recipe
from .functional.losses import cross_entropy, entropy, marginal
from .input.checks import check_shape
from .input.parameters import store_parameters
from .input.types import Auto, Reals, Widths
from .nn.model import AdversarialModel, OptimizerGroup, Regularizer, observed
from .nn.networks import keep_running_statistics, make_network, normalized_mlp
from .nn.runtime import randn_like

#: Number of inputs of the generator, drawn from N(0, I).
N_NOISE = 64


class CatGAN(AdversarialModel):
    """Categorical generative adversarial network.

    Batch normalization of D normalizes real and generated samples separately; its running
    statistics see real samples alone.

    Parameters
    ----------
    discriminator : Module, (N, D) -> (N, K)
        Logits of the classes of standardized samples.
    generator : Module, (N, 64) -> (N, D)
        From noise; its outputs are decoded by the likelihood.
    likelihood : Likelihood
    n_classes : int
    balance_weight, fake_weight : float
        Weights of "balance" and "fake" in D's loss.
    regularizer : Regularizer
        Terms that keep the assignment near the initial partition; "initial" fades out.
    label_weight : float
        Weight of the cross-entropy of labeled samples.

    Attributes
    ----------
    log_prior : Tensor of shape (K,) or None
        Class prior that p_bar of real samples follows; None if it is uniform.
    """

    def __init__(
        self,
        discriminator,
        generator,
        likelihood,
        n_classes,
        balance_weight,
        fake_weight,
        regularizer,
        label_weight,
    ):
        super().__init__(likelihood, n_classes)
        self.discriminator = discriminator
        self.generator = generator
        self.balance_weight = balance_weight
        self.fake_weight = fake_weight
        self.regularizer = regularizer
        self.label_weight = label_weight
        self.register_buffer("log_prior", None)

    def log_resp_standardized(self, x_std):
        """Log p(y|x) of standardized samples, (N, K)."""
        return self.discriminator(x_std).float().log_softmax(-1)

    def generate(self, x):
        """Generate as many standardized samples as x (N, D) has, with its missing values."""
        z = randn_like(self.log_marginal.new_empty(len(x), N_NOISE))
        generated = self.likelihood.standardized_mean(self.generator(z))
        return observed(generated, x)

    def imbalance(self, log_p):
        """-H[p_bar], or the cross-entropy between class prior and p_bar."""
        mean = marginal(log_p)
        if self.log_prior is None:
            return -entropy(mean)
        return cross_entropy(self.log_prior, mean)

    @torch.no_grad()
    def set_prior(self, p):
        """Set the class prior from an array of K positive numbers; None: uniform."""
        self.log_prior = None
        if p is not None:
            device = self.log_marginal.device
            p = torch.as_tensor(p, dtype=torch.float64, device=device)
            self.log_prior = (p / p.sum()).log().to(self.log_marginal)

    def discriminator_loss(self, batch):
        """-H[p_bar], entropies of real and generated samples, and cross-entropy of labels."""
        predict = self.log_resp_standardized
        x_std = self.standardize(batch.view)
        terms = {}
        if batch.extra is None:
            log_p = predict(x_std)
            log_p_alone = log_p
        else:
            known = self.standardize(batch.extra.view)
            both = predict(torch.cat([x_std, known]))
            log_p, log_known = both.split([len(x_std), len(known)])
            target = batch.extra.columns["target"]
            terms["labels"] = self.label_weight * nll_loss(log_known, target)
            # Smoothness normalizes by the batch without labeled samples.
            log_p_alone = None

        terms["certainty"] = entropy(log_p).mean()
        terms["balance"] = self.balance_weight * self.imbalance(log_p)
        log_original = None
        with keep_running_statistics(self.discriminator):
            if self.fake_weight:
                with torch.no_grad():
                    fake = self.generate(batch.view)
                terms["fake"] = -self.fake_weight * entropy(predict(fake)).mean()
            if batch.augmented is not None:
                with torch.no_grad():
                    log_original = predict(self.standardize(batch.x))
            terms |= self.regularizer.terms(
                predict, x_std, batch.initial, log_p_alone, self.progress, log_original
            )
        return terms

    def generator_loss(self, batch):
        """Entropies of D's predictions for generated samples, and of their mean."""
        with keep_running_statistics(self.discriminator):
            log_p = self.log_resp_standardized(self.generate(batch.view))
        return {
            "certainty": entropy(log_p).mean(),
            "balance": -entropy(marginal(log_p)),
        }

    def optimizer_groups(self):
        """Discriminator, then generator."""
        return (
            OptimizerGroup(
                "discriminator", [self.discriminator], self.discriminator_loss
            ),
            OptimizerGroup("generator", [self.generator], self.generator_loss),
        )


#: Constraints of the parameters of clusterer and classifier.
CATGAN_CONSTRAINTS = {
    "class_prior": [StrOptions({"auto"}), "array-like", None],
    "batch_size": BATCH_SIZE,
}


class CatGANEstimator(DeepEstimator):
    """Base of clusterer and classifier: the model and its class prior."""

    _recipe = Recipe(rate=3e-3, steps=12, is_adversarial=True)
    #: Weight of labeled samples, which a clusterer has not.
    label_weight: Any = None

    def _build(self, n_features, n_clusters, widths, likelihood):
        widths = widths[:2]
        body = partial(normalized_mlp, hidden_layer_sizes=widths)
        mirror = partial(normalized_mlp, hidden_layer_sizes=widths[::-1])
        return CatGAN(
            make_network(
                "discriminator",
                self.discriminator,
                n_features,
                n_clusters,
                body,
                self.image_shape,
                kind="classifier",
            ),
            make_network("generator", self.generator, N_NOISE, n_features, mirror),
            likelihood,
            n_clusters,
            self.balance_weight,
            self.fake_weight,
            Regularizer(self.init_weight, self.smoothness_weight, end=1.0),
            self.label_weight,
        )

    def _train(self, model, training):
        rates = {}
        if self.learning_rate == "auto":
            # At the rates of narrow networks, generated samples leave the range of the data.
            rate = self._recipe.rate / training.settings.learning_rate
            rates = {"generator.*": rate}
        initial = find_in_codes(training)
        model.set_prior(self._find_prior(initial))
        run = training.train(model, initial, rates=rates)
        set_marginal(model, training.X)
        return run

    def _find_prior(self, initial):
        """Return the class prior (K,) that training follows, or None if it is uniform."""
        given = self.class_prior
        if given is None:
            return None
        if isinstance(given, str):
            if initial.resp is None:
                return None
            share = initial.resp.mean(0, dtype=np.float64)
            return np.maximum(share, 0.5 / len(initial.resp))

        prior = check_shape("class_prior", given, (initial.n_clusters,))
        if not (prior > 0).all():
            raise ValueError(f"class_prior must be positive numbers, got {prior}.")
        return prior

    def _describe(self, model, training):
        log_prior = model.log_prior
        if log_prior is None:
            log_prior = torch.zeros_like(model.log_marginal).log_softmax(0)
        self.class_prior_ = log_prior.exp().cpu().numpy()

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


class CatGANClustering(ClusteringMixin, CatGANEstimator):
    r"""Classifier trained without labels, against a generator: categorical GAN (CatGAN).

    Its predictions are certain for samples, use all clusters, and are uncertain for generated
    samples.

    Parameters
    ----------
    class_prior : "auto", array-like of shape (n_clusters,) or None
        Shares that the clusters should have. "auto": the shares in the initial partition, equal
        ones without it. None: equal shares, as published.
    init_weight : float
        Weight of the cross-entropy between initial partition and predictions; fades linearly to 0.

    Attributes
    ----------
    class_prior_ : ndarray of shape (n_clusters,)
        Shares that training asks the clusters to have.
    model_ : CatGAN
        The trained torch module.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per sample
        ``"discriminator_"`` followed by certainty, balance, fake, initial or smoothness, and
        ``"generator_"`` followed by certainty or balance.

    See Also
    --------
    CatGANClassifier : The same model with some labels.

    Notes
    -----
    With the entropy H, the discriminator D maximizes the first and the generator G minimizes the
    second expression [1]_:

    .. math::

        H[E_x p(y | x)] - E_x H[p(y | x)] + E_z H[p(y | G(z))], \quad
        E_z H[p(y | G(z))] - H[E_z p(y | G(z))]

    Many balanced partitions satisfy this, by style as well as by class. Two additions of this
    package, the initial partition and the smoothness [2]_, decide among them: by default training
    begins with the partition of :class:`NeighborClustering`. The cross-entropy between the initial
    cluster sizes and E_x p(y | x) replaces -H[E_x p(y | x)]. ``init="own", pretraining_epochs=0,
    fake_weight=1, smoothness_weight=0`` is the published way. Without an initial partition, the
    smoothness makes the objective that of IMSAT [3]_, with a generator.

    From ``augment``, training learns what the initial partition does not know.

    ``score`` is the mutual information between samples and clusters, at most log K.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.
    .. [3] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import CatGANClustering
    >>> X = load_iris().data
    >>> catgan = CatGANClustering(3, hidden_layer_sizes=(16,), random_state=0)
    >>> catgan.fit(X).predict_proba(X).shape
    (150, 3)
    """

    _parameter_constraints = CATGAN_CONSTRAINTS

    def __init__(
        self,
        n_clusters: int | Auto = 8,
        *,
        hidden_layer_sizes: Widths = "auto",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        kinds: Any = "auto",
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior: Any = "auto",
        init: Any = "neighbors",
        contamination=0.0,
        use_labels=False,
        init_weight=1.0,
        smoothness_weight=2.0,
        pretraining_epochs: int | Auto = "auto",
        max_epochs: int | Auto = "auto",
        learning_rate: float | Auto = "auto",
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

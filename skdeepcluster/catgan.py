"""CatGANClustering: categorical generative adversarial network (Springenberg, 2016).

In the paper's notation, D is ``discriminator`` (logits), G ``generator``, p(y | x, D) the
exponential of ``log_resp``, and p_bar the mean of p(y | x) over a batch.
"""

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar
from sklearn.utils._param_validation import StrOptions
from torch.nn.functional import nll_loss

from .deep.adversarial import BATCH_SIZE, find_in_codes, set_marginal
from .deep.base import ClusteringMixin, DeepEstimator
from .deep.fit import Recipe, apply, assign
from .functional.losses import cross_entropy, entropy, marginal
from .input.checks import check_finite
from .input.parameters import begin_sample, store_parameters
from .input.types import Auto, Reals, Widths
from .nn.model import AdversarialModel, Player, Regularizer, observed
from .nn.networks import keep_running_statistics, make_network, normalized_mlp
from .nn.runtime import randn_like


class CatGAN(AdversarialModel):
    """Categorical generative adversarial network.

    Batch normalization of D normalizes real and generated samples separately; its running
    statistics see real samples alone.

    Parameters
    ----------
    discriminator : Module, (N, D) -> (N, K)
        Logits of the classes of standardized samples.
    generator : Module, (N, L) -> (N, D)
        Its outputs are decoded by the likelihood.
    likelihood : Likelihood
    n_classes, n_noise : int
        K and L.
    weights : (float, float)
        Weights of "balance" and "fake" in D's loss.
    regularizer : Regularizer
        Terms that keep the assignment near an anchor; "start" fades out.
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
        n_noise,
        weights,
        regularizer,
        label_weight,
    ):
        super().__init__(likelihood, n_classes)
        self.discriminator = discriminator
        self.generator = generator
        self.n_noise = n_noise
        self.balance_weight, self.fake_weight = weights
        self.regularizer = regularizer
        self.label_weight = label_weight
        self.register_buffer("log_prior", None)

    def log_resp_standardized(self, x_std):
        """Log p(y|x) of standardized samples, (N, K)."""
        return self.discriminator(x_std).float().log_softmax(-1)

    def decode(self, z):
        """Generate samples for noise (N, L), in the units of the data."""
        return self.likelihood.mean(self.generator(z))

    def generate(self, n_samples):
        """Generate standardized samples, (N, D)."""
        z = randn_like(self.log_marginal.new_empty(n_samples, self.n_noise))
        return self.likelihood.standardized_mean(self.generator(z))

    def imbalance(self, log_p):
        """-H[p_bar], or the cross-entropy between class prior and p_bar."""
        mean = marginal(log_p)
        if self.log_prior is None:
            return -entropy(mean)
        return cross_entropy(self.log_prior, mean)

    @torch.no_grad()
    def set_prior(self, p):
        """Set the class prior from an array of K positive numbers; None: uniform."""
        if p is not None:
            p = torch.as_tensor(p, dtype=torch.float64, device=self.log_marginal.device)
            p = (p / p.sum()).log().to(self.log_marginal)
        self.log_prior = p

    def discriminator_loss(self, batch):
        """-H[p_bar], entropies of real and generated samples, and cross-entropy of labels."""
        x_std = self.standardize(batch.view)
        terms = {}
        if batch.extra is None:
            log_p = self.log_resp_standardized(x_std)
            log_p_alone = log_p
        else:
            known = self.standardize(batch.extra.view)
            both = self.log_resp_standardized(torch.cat([x_std, known]))
            log_p, log_known = both.split([len(x_std), len(known)])
            target = batch.extra.columns["target"]
            terms["labels"] = self.label_weight * nll_loss(log_known, target)
            # Smoothness normalizes by the batch without labeled samples.
            log_p_alone = None
        log_original = None

        terms["certainty"] = entropy(log_p).mean()
        terms["balance"] = self.balance_weight * self.imbalance(log_p)
        predict = self.log_resp_standardized
        with keep_running_statistics(self.discriminator):
            if self.fake_weight:
                with torch.no_grad():
                    fake = observed(self.generate(len(x_std)), batch.view)
                terms["fake"] = -self.fake_weight * entropy(predict(fake)).mean()
            if batch.augmented is not None:
                with torch.no_grad():
                    log_original = predict(self.standardize(batch.x))
            terms |= self.regularizer.terms(
                predict, x_std, batch.anchor, log_p_alone, self.progress, log_original
            )
        return terms

    def generator_loss(self, batch):
        """Entropies of D's predictions for generated samples, and of their mean."""
        with keep_running_statistics(self.discriminator):
            fake = observed(self.generate(len(batch.x)), batch.view)
            log_p = self.log_resp_standardized(fake)
        return {
            "certainty": entropy(log_p).mean(),
            "balance": -entropy(marginal(log_p)),
        }

    def players(self):
        """Discriminator, then generator."""
        return (
            Player("discriminator", [self.discriminator], self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


#: Number of inputs of the generator, drawn from N(0, I).
N_NOISE = 64
#: Minimum number of samples that are generated at a time to find some of a cluster.
MIN_GENERATED = 1000
#: Maximum number of times that this many samples are generated.
MAX_GENERATED = 100
#: Constraints of the parameters of clusterer and classifier.
CONSTRAINTS = {
    "class_prior": [StrOptions({"estimated"}), "array-like", None],
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
            N_NOISE,
            (self.balance_weight, self.fake_weight),
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
        prior = self.class_prior
        if prior is None:
            return None
        if not isinstance(prior, str):
            given = check_finite("class_prior", prior)
            n_classes = initial.n_clusters
            if given.shape != (n_classes,) or not (given > 0).all():
                raise ValueError(
                    f"class_prior must be {n_classes} positive numbers, got {given}."
                )
            return given
        if initial.resp is not None:
            share = initial.resp.mean(0, dtype=np.float64)
            return np.maximum(share, 0.5 / len(initial.resp))
        if prior == "estimated":
            raise ValueError(
                "class_prior='estimated' needs an initial partition: init='own' with "
                "pretraining_epochs=0 has none. Choose another init."
            )
        return None

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


def generate(model, n_samples, random_state):
    """Return the encoded samples (N, E) that a model generates from noise."""
    Z = random_state.standard_normal((n_samples, model.n_noise))
    return apply(model, model.decode, Z.astype(np.float32))


def _generate_of(fitted, n_samples, cluster, random_state):
    """Return generated samples (N, E), encoded, that the discriminator assigns to a cluster."""
    model = fitted.model_
    preparation = fitted.preparation_
    n_each = max(n_samples, MIN_GENERATED)
    found = []
    for _ in range(MAX_GENERATED):
        X = generate(model, n_each, random_state)
        if preparation.is_table:
            # With drawn categories, as the samples are returned.
            X = preparation.encode(preparation.decode(X, random_state))
        found += [*X[assign(model, X)[0] == cluster]]
        if len(found) >= n_samples:
            return np.array(found[:n_samples])

    raise ValueError(
        f"Only {len(found):,} of {MAX_GENERATED * n_each:,} generated samples are of "
        f"cluster {cluster}, not {n_samples:,}. Train longer (max_epochs), or use "
        "InfoGANClustering."
    )


class CatGANClustering(ClusteringMixin, CatGANEstimator):
    r"""Classifier trained without labels, against a generator: categorical GAN (CatGAN).

    Its predictions are certain for samples, use all clusters, and are uncertain for generated
    samples.

    Parameters
    ----------
    class_prior : {"auto", "estimated"}, array-like of shape (n_clusters,) or None
        Shares that the clusters should have. "estimated": the shares in the initial partition.
        None: equal shares, as published. "auto": "estimated" if there is an initial partition.
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
        ``"discriminator_"`` followed by certainty, balance, fake, start or smoothness, and
        ``"generator_"`` followed by certainty or balance. The last record has evidence
        without labels, from at most 1000 samples: "information", the mutual information between
        samples and clusters in nats, and "agreement", with ``augment`` the share of changed
        samples in the cluster of the original; the first has it ``"..._before"`` training.

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
    smoothness makes the objective that of IMSAT [4]_, with a generator.

    From ``augment``, training learns what the initial partition does not know.

    ``score`` is the mutual information between samples and clusters, at most log K.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.
    .. [3] K. Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples
       and Adversarial Attacks", NeurIPS 2018.
    .. [4] W. Hu, T. Miyato, S. Tokui, E. Matsumoto, M. Sugiyama, "Learning Discrete
       Representations via Information Maximizing Self-Augmented Training", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import CatGANClustering
    >>> X = load_iris().data
    >>> catgan = CatGANClustering(3, hidden_layer_sizes=(16,), random_state=0)
    >>> catgan.fit(X).predict_proba(X).shape
    (150, 3)
    >>> catgan.sample(5).shape
    (5, 4)
    """

    _parameter_constraints = {
        **CONSTRAINTS,
        "class_prior": [StrOptions({"auto", "estimated"}), "array-like", None],
    }

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

    def sample(self, n_samples: int = 1, cluster: int | None = None) -> Reals:
        """Generate samples.

        They do not resemble X. Those of a cluster are the ones that the discriminator assigns to
        it; :class:`~skdeepcluster.InfoGANClustering` is trained to generate them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of samples.
        cluster : int, default=None
            Cluster that the samples are of. None: any.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            In the units of X, and a table if X was one. An int ``random_state`` gives the same
            samples on every call.

        Raises
        ------
        ValueError
            If too few of the generated samples are of the cluster.
        """
        n_samples, stream = begin_sample(self, n_samples)
        if cluster is None:
            X = generate(self.model_, n_samples, stream)
        else:
            last = self.n_clusters_ - 1
            check_scalar(cluster, "cluster", Integral, min_val=0, max_val=last)
            X = _generate_of(self, n_samples, cluster, stream)
        return self.preparation_.decode(X, stream)

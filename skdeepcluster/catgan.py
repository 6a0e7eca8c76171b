r"""CatGANClustering: categorical generative adversarial network (Springenberg, 2016).

A discriminator D that is a classifier, and a generator G, its opponent. With H the entropy and
p_bar the mean of p(y|x) over a batch, each player minimises the sum of its terms::

    discriminator   certainty   E_x H[p(y|x)]            sure about real rows
                    balance    -H[p_bar(real)]           all classes used
                    fake       -E_z H[p(y|G(z))]         unsure about generated rows
    generator       certainty   E_z H[p(y|G(z))]         rows that D is sure about,
                    balance    -H[p_bar(fake)]           of all classes

====================  ==========================================
in the paper          here
====================  ==========================================
x, z, y               ``x``, ``z``, a column of ``log_p``
D, G                  ``discriminator`` (logits), ``generator``
p(y | x, D)           ``log_probs``, ``log_resp``
====================  ==========================================

J. T. Springenberg, Unsupervised and Semi-supervised Learning with Categorical Generative
Adversarial Networks, ICLR 2016.
"""

import torch

from ._catgan import CatGANEstimator
from ._mixins import AssignMixin
from .functional.information import cross_entropy, entropy, kl_divergence, marginal
from .modules.game import Game, Player
from .modules.gan_networks import statistics_kept
from .modules.start import NOTHING


class CatGAN(Game):
    """Categorical generative adversarial network.

    Two players. D judges real rows by batch statistics of real rows, generated ones by their own,
    and what it keeps for its answers are those of real rows.

    Parameters
    ----------
    discriminator : Module, (N, D) -> (N, K)
        Logits of the classes of standardised rows.
    generator : Module, (N, L) -> (N, D)
        What the likelihood turns into rows.
    likelihood : Likelihood
    n_classes, n_noise : int
        K and L.
    weights : (float, float), default=(1.0, 1.0)
        Of "balance" and "fake" in D's loss.
    keep : Keep, default=NOTHING
        Terms that are added while there is a start to keep to; "start" fades out.
    marginal_decay : float, default=0.0
        Of the running mean that stands for p_bar(real); 0 is the batch's mean.

    Attributes
    ----------
    log_prior : Tensor of shape (K,) or None
        Class prior that p_bar(real) is to follow; None where it is to be uniform.
    log_marginal : Tensor of shape (K,)
        The running mean; after a fit, log mean p(y|x) of its rows.
    """

    betas = 0.5, 0.99

    def __init__(
        self,
        discriminator,
        generator,
        likelihood,
        n_classes,
        n_noise,
        *,
        weights=(1.0, 1.0),
        keep=NOTHING,
        marginal_decay=0.0,
    ):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.likelihood = likelihood
        self.n_noise = n_noise
        self.balance_weight, self.fake_weight = weights
        self.keep = keep
        self.marginal_decay = marginal_decay
        self.register_buffer("log_prior", None)
        self.register_buffer("log_marginal", torch.zeros(n_classes).log_softmax(0))

    def log_probs(self, seen):
        """Log p(y|x) of standardised rows, (N, K)."""
        return self.discriminator(seen).float().log_softmax(-1)

    def log_resp(self, x):
        """Log p(y|x), (N, K)."""
        return self.log_probs(self.likelihood.standardize(x))

    def information(self, x):
        """KL(p(y|x) || p(y)) of each row, (N,): its mean is the mutual information."""
        return kl_divergence(self.log_resp(x).double(), self.log_marginal.double())

    def decode(self, z):
        """Rows in the units of the data, (N, D)."""
        return self.likelihood.mean(self.generator(z))

    def generated(self, n_rows):
        """Standardised rows of the generator, (N, D)."""
        z = torch.randn(n_rows, self.n_noise, device=self.log_marginal.device)
        return self.likelihood.standardize(self.decode(z))

    def unbalance(self, log_p):
        """-H[p_bar], or where the class prior is known, its cross-entropy to p_bar."""
        log_mean = marginal(log_p)
        if self.marginal_decay:
            log_mean = self._running(log_mean)
        if self.log_prior is None:
            return -entropy(log_mean)
        return cross_entropy(self.log_prior, log_mean)

    @torch.no_grad()
    def set_prior(self, p):
        """Set the class prior from an array of K positive numbers."""
        p = torch.as_tensor(p, dtype=torch.float64)
        self.log_prior = (p / p.sum()).log().to(self.log_marginal)

    def _running(self, log_mean):
        """Value of the running mean, gradient of the batch's."""
        share = log_mean.new_tensor(self.marginal_decay)
        with torch.no_grad():
            old, new = self.log_marginal + share.log(), log_mean + (-share).log1p()
            self.log_marginal.copy_(torch.logaddexp(old, new))
        return log_mean + (self.log_marginal - log_mean).detach()

    def discriminator_loss(self, x, start=None):
        """Sure of real rows, of all classes, and unsure of generated ones."""
        seen = self.likelihood.standardize(x)
        return self.terms(seen, self.log_probs(seen), start)

    def terms(self, seen, log_p, start, alone=True):
        """Terms of the discriminator's loss for standardised rows and its answers to them.

        Smoothness compares with answers that were normalised by the same rows ``alone``.
        """
        terms = {
            "certainty": entropy(log_p).mean(),
            "balance": self.balance_weight * self.unbalance(log_p),
        }
        with statistics_kept(self.discriminator):
            if self.fake_weight:
                with torch.no_grad():
                    fake = self.generated(len(seen))
                terms["fake"] = -self.fake_weight * entropy(self.log_probs(fake)).mean()
            terms |= self.keep.terms(self.log_probs, seen, start, log_p if alone else None)
        if "start" in terms:
            terms["start"] = (1 - self.progress) * terms["start"]
        return terms

    def generator_loss(self, x, *_):
        """Rows that the discriminator is sure about, of all classes."""
        with statistics_kept(self.discriminator):
            log_p = self.log_probs(self.generated(len(x)))
        return {"certainty": entropy(log_p).mean(), "balance": -entropy(marginal(log_p))}

    def players(self):
        """Discriminator, generator."""
        return (
            Player("discriminator", [self.discriminator], self.discriminator_loss),
            Player("generator", [self.generator], self.generator_loss),
        )


class CatGANClustering(AssignMixin, CatGANEstimator):
    r"""Categorical generative adversarial network.

    A classifier without labels: sure about every row, using all clusters, and unsure about rows
    that a generator makes up. By default it begins with a partition found without labels, and is
    kept from jumping between rows that are close.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of classes of the discriminator; more than there are kinds of rows
        (over-clustering) is common for this method.
    n_components : int, default=10
        Size of the code of the auto-encoder that the start comes from.
    hidden_layer_sizes : array-like of int, default=(500, 500, 2000)
        Widths of that auto-encoder's hidden layers. The first two are the discriminator's, and
        mirrored the generator's.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers of discriminator and generator, which are normalised by
        batch.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        What the generator's output means. "bernoulli" needs data in [0, 1]; "gaussian" works on
        features that are standardised inside; "auto" takes "bernoulli" for data in [0, 1], else
        "gaussian". Inputs and outputs are always in the units of X.
    n_noise : int, default=64
        Size of the generator's input, drawn from N(0, I).
    noise : float, default=0.0
        Standard deviation of the noise that training adds to the input of every layer of the
        discriminator; the paper's experiments take 0.3 and more.
    balance_weight : float, default=1.0
        Weight of the entropy of the batch's mean prediction (all clusters used); 1 in the paper.
    fake_weight : float, default=0.3
        Weight of the entropy of predictions for generated rows in the discriminator's loss; 1 in
        the paper. With 0 the generator is trained, but the discriminator ignores it.
    class_prior : None, "estimated" or array-like of shape (n_clusters,), default=None
        Shares that the clusters should have. None: equal ones, by the entropy of the mean
        prediction. An array: these, by the cross-entropy of prior and mean prediction.
        "estimated": the shares of the start.
    marginal_decay : float, default=0.0
        Of the running mean of predictions that stands for the batch's mean, whose entropy is
        biased where ``batch_size`` is small against ``n_clusters``. 0 is the batch's, as
        published.
    init : {"neighbors", "mixture"}, array-like or None, default="neighbors"
        Where the clusters come from. "neighbors": from the partition seen in a layout of the
        neighbour graph of codes (see :func:`~skdeepcluster.neighbors.neighbor_start`);
        "mixture": from a mixture on the codes. The codes are those of a denoising auto-encoder
        that is thrown away, and the partition enters as ``start_weight`` and
        ``smoothness_weight`` say. An array: this partition, the cluster of each row or
        responsibilities of shape (n_samples, n_clusters). None: from nothing and without the
        two terms, which with ``fake_weight=1`` is the published way.
    start_weight : float, default=1.0
        Weight of the cross-entropy of the clusters to those of the start, in training from a
        start; fades linearly to 0. An addition of this package.
    smoothness_weight : float, default=4.0
        Weight of the divergence between the clusters of a row and of its worst neighbour within
        a short step (virtual adversarial training), in training from a start. An addition of
        this package; 0 halves the cost of a step.
    mixture_n_init : int, default=10
        Starts of the mixture on the codes for init="mixture"; the likeliest is kept.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder that gives codes; 0 has the rows divided as they are.
        "auto" makes about ``30 * sqrt(n_samples)`` steps, or 8000 if that is more and not over
        100 passes; none with fewer than 4000 rows.
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes over the data after the start. "auto" makes about ``12 * sqrt(n_samples)`` steps,
        at most two for each row.
    batch_size : int or "auto", default="auto"
        Rows in a step, at most ``n_samples``. "auto" is 256, or 64 with fewer than 4000 rows.
    learning_rate : float, default=3e-3
        Peak of the one-cycle schedule of AdamW.
    n_init : int, default=1
        Trainings from new weights; the best by :meth:`score` on X is kept.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives the generator's network, ``n_in = n_noise``. None: a
        perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives the discriminator's network, ``n_out = n_clusters``
        logits. None: a perceptron.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Of the training step; "auto" is bfloat16 where the hardware is fast at it. Answers are
        always computed in float32.
    compile : bool, default=False
        Compile the loss with ``torch.compile``; needs a C++ compiler, seldom pays on a CPU.
    callbacks : list of skorch callbacks, default=None
        For the training after the start; used as they are.
    device : str or torch.device, default="auto"
        "auto" is CUDA if there is a GPU, else the CPU.
    warm_start : bool, default=False
        Go on training the fitted model.
    verbose : int, default=0
        1 shows progress bars, 2 a table with a line per epoch.
    accept_sparse : bool, default=False
        Take sparse X; rows are made dense one batch at a time.
    random_state : int, RandomState instance or None, default=None
        Decides everything random; an int gives the same result on every call.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each row of X; equal to ``predict(X)``.
    start_labels_ : ndarray of shape (n_samples,) or None
        Clusters at the start, numbered alike: what training added is the difference.
    model_ : CatGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row, as
        weighted, "discriminator_certainty", "discriminator_balance", "discriminator_fake",
        "discriminator_start", "discriminator_smoothness", "generator_certainty" and
        "generator_balance".
    n_iter_ : int
        Epochs trained, without those of the start.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    the smoothness [2]_ are additions of this package, and the generator counts less than in the
    paper; ``init=None, fake_weight=1`` is the published objective.

    ``score_samples`` is KL(p(y|x) || p(y)), with p(y) the mean prediction for the rows of ``fit``.
    Its mean over these is ``score``, the mutual information of row and cluster, at most log K.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018.

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

    def __init__(
        self,
        n_clusters=8,
        *,
        n_components=10,
        hidden_layer_sizes=(500, 500, 2000),
        activation="leaky_relu",
        likelihood="auto",
        n_noise=64,
        noise=0.0,
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior=None,
        marginal_decay=0.0,
        init="neighbors",
        start_weight=1.0,
        smoothness_weight=4.0,
        mixture_n_init=10,
        pretraining_epochs="auto",
        pretraining_learning_rate=2e-3,
        max_epochs="auto",
        batch_size="auto",
        learning_rate=3e-3,
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
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.n_noise = n_noise
        self.noise = noise
        self.balance_weight = balance_weight
        self.fake_weight = fake_weight
        self.class_prior = class_prior
        self.marginal_decay = marginal_decay
        self.init = init
        self.start_weight = start_weight
        self.smoothness_weight = smoothness_weight
        self.mixture_n_init = mixture_n_init
        self.pretraining_epochs = pretraining_epochs
        self.pretraining_learning_rate = pretraining_learning_rate
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
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
        return self._model(CatGAN, n_features, self.n_clusters, likelihood)

r"""InfoGANClustering: a GAN whose codes can be read back (Chen et al., 2016).

The game of generator, discriminator and Q is in ``modules/infogan.py``, its codes in
``modules/latent.py``; answers about codes are in ``_codes.py``, their report in ``_report.py``.

X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever and P. Abbeel, InfoGAN: Interpretable
Representation Learning by Information Maximizing Generative Adversarial Nets, NeurIPS 2016.
"""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval
from torch import nn

from ._codes import CodesMixin
from ._estimator import DeepEstimator
from ._mixins import AssignMixin, InformationMixin
from ._start import PartitionMixin
from ._style import style_start
from .engine.batches import Rows, batches
from .modules.gan_networks import normalised_mlp, renew_statistics
from .modules.infogan import InfoGAN
from .modules.latent import LatentSpace
from .modules.networks import ACTIVATIONS, mlp
from .modules.start import Keep

#: Width of the hidden layer with which Q reads the body, as in the paper.
READER = 128


class InfoGANClustering(AssignMixin, CodesMixin, InformationMixin, PartitionMixin, DeepEstimator):
    r"""Information maximising generative adversarial network (InfoGAN).

    A generator makes rows from noise and codes, a discriminator judges them, and Q, which shares
    the discriminator's body, reads the codes back. One code has ``n_clusters`` values: what Q
    reads in a real row is its cluster. Other codes tell what else varies.

    Parameters
    ----------
    n_clusters : int, default=8
        Values of the categorical code that is the cluster.
    n_noise : int, default=62
        Noise variables of the generator, uniform on [-1, 1].
    n_continuous : int, default=2
        Continuous codes, uniform on [-1, 1].
    other_categories : array-like of int, default=()
        Numbers of values of further categorical codes.
    n_components : int, default=10
        Size of the code of the auto-encoder that ``init`` takes the start from.
    hidden_layer_sizes : array-like of int, default=(500, 500, 2000)
        Widths of that auto-encoder. The first two are those of the discriminator's body, and in
        reverse those of the generator, which has batch normalisation.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the discriminator and of Q.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        What the generator's output means: "bernoulli", for data in [0, 1], logits of the
        features; "gaussian", features that are standardised inside. "auto" takes "bernoulli" for
        data in [0, 1], else "gaussian". Inputs and outputs are always in the units of X.
    mi_weight : float, default=1.0
        Weight lambda of the information term. At 0 Q reads along without being heard by
        generator or discriminator: the paper's comparison; with ``init=None`` these are a plain
        GAN.
    continuous_weight : float, default=0.5
        Weight of continuous codes within the information term: they are worth more nats.
    instance_noise : float, default=0.1
        Standard deviation of noise on what the discriminator judges and Q reads, in the units of
        "bernoulli" data or of standardised features. An addition of this package; 0 is the
        published objective.
    init : {"neighbors", "mixture"}, array-like or None, default="neighbors"
        Where the clusters come from. "neighbors": from the partition seen in a layout of the
        neighbour graph of an auto-encoder's codes, or of few rows themselves (see
        :func:`~skdeepcluster.neighbors.neighbor_start`); training then keeps to it as
        ``start_weight``, ``smoothness_weight`` and ``style_weight`` say, and draws clusters in
        its shares. "mixture": the same from a mixture on those codes. An array: from this
        partition, the cluster of each row or responsibilities of shape (n_samples, n_clusters),
        without an auto-encoder. None: from scratch, the published way, without the three terms.
    start_weight : float, default=20.0
        Weight of the cross-entropy of Q on real rows to the clusters of the start. An addition
        of this package.
    smoothness_weight : float, default=20.0
        Weight of the divergence between the clusters that Q reads in a real row and in its worst
        neighbour within a short step (virtual adversarial training). An addition of this
        package.
    style_weight : float, default=1.0
        Weight of the negative log-likelihood, by Q on real rows, of continuous codes that are the
        ranks of the rows along the principal directions of their differences within clusters. An
        addition of this package; at 0 continuous codes find what they stand for by themselves.
    mixture_n_init : int, default=10
        Starts of the mixture on the codes for init="mixture"; the likeliest is kept.
    pretraining_epochs : int or "auto", default="auto"
        Passes of the denoising auto-encoder that gives codes; 0 has the rows divided as they are.
        "auto" makes about ``30 * sqrt(n_samples)`` steps, or 8000 if that is more and not over
        100 passes; none with fewer than 4000 rows.
    pretraining_learning_rate : float, default=2e-3
        Peak of the auto-encoder's one-cycle schedule.
    max_epochs : int or "auto", default="auto"
        Passes of the game over the data. "auto" makes about ``10 * sqrt(n_samples)`` steps,
        at most two for each row.
    batch_size : int or "auto", default="auto"
        Rows in a step, at most ``n_samples``. "auto" is 256, or 64 with fewer than 4000 rows.
    learning_rate : float, default=1e-3
        Peak of the one-cycle schedule of AdamW, of discriminator and Q.
    generator_learning_rate : float, default=1e-3
        The generator's.
    n_init : int, default=1
        Trainings from new weights; the best by :meth:`score` on X is kept.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives the generator's network, ``n_in`` the number of noise
        variables, values of categories and continuous codes. None: a perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives the body that the discriminator shares with Q,
        ``n_out`` the second of ``hidden_layer_sizes``; an activation and the layers of each
        follow. None: a perceptron. :mod:`skdeepcluster.modules.gan_networks` has the paper's
        convolutional pair.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Of the training step; "auto" is bfloat16 where the hardware is fast at it. Answers are
        always computed in float32.
    compile : bool, default=False
        Compile the loss with ``torch.compile``; needs a C++ compiler, seldom pays on a CPU.
    callbacks : list of skorch callbacks, default=None
        For the training after pretraining; used as they are.
    device : str or torch.device, default="auto"
        "auto" is CUDA if there is a GPU, else the CPU.
    warm_start : bool, default=False
        Go on training the fitted model, keeping to the clusters it has unless init=None.
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
        Clusters at the start, numbered alike: what training added is the difference. None with
        init=None.
    code_names_ : list of str
        "cluster", then "category1", ... and "continuous0", ...: what :meth:`sample`,
        :meth:`traverse` and :meth:`code_report` call the codes.
    weights_ : ndarray of shape (n_clusters,)
        Shares in which clusters were drawn: those of the start, or equal ones.
    model_ : InfoGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch: "epoch", "dur" (seconds), "train_loss", and in nats per row, as
        weighted, "discriminator_real", "discriminator_fake", "discriminator_category",
        "discriminator_continuous", "discriminator_start", "discriminator_smoothness",
        "discriminator_style", "generator_adversarial", "generator_category" and
        "generator_continuous".
    n_iter_ : int
        Epochs trained, without pretraining.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    VaDEClustering : Clusters and a density; no adversary.
    skdeepcluster.display.TraversalDisplay : What the codes change, as a picture.

    Notes
    -----
    The game is [1]_

    .. math::

        \min_{G, Q} \max_D V(D, G) - \lambda L_I(G, Q), \quad
        L_I = E_{c, x \sim G(z, c)}[\log Q(c | x)] + H(c) \leq I(c; G(z, c))

    with the generator's loss -log D(G) and the information term in the losses of both players,
    because Q shares the discriminator's body. By the paper Q sees generated rows only; its
    clusters of real rows are then often strokes and slants. The three terms of this package are
    about Q on real rows. Batch normalisation in a discriminator of the user's gets its statistics
    from real rows before the estimator answers.

    The published way is ``init=None, instance_noise=0, continuous_weight=0.1,
    learning_rate=2e-4`` and the convolutional pair.

    References
    ----------
    .. [1] X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever, P. Abbeel, "InfoGAN:
       Interpretable Representation Learning by Information Maximizing Generative Adversarial
       Nets", NeurIPS 2016.
    .. [2] T. Miyato, S. Maeda, M. Koyama, S. Ishii, "Virtual Adversarial Training", IEEE TPAMI
       2018, for the smoothness.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import InfoGANClustering
    >>> X = load_iris().data
    >>> gan = InfoGANClustering(3, n_noise=4, hidden_layer_sizes=(16,), random_state=0).fit(X)
    >>> gan.predict_proba(X).shape
    (150, 3)
    >>> gan.code_names_
    ['cluster', 'continuous0', 'continuous1']
    >>> gan.traverse("continuous0", [-1, 0, 1], cluster=2).shape
    (1, 3, 4)
    """

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
        continuous_weight=0.5,
        instance_noise=0.1,
        init="neighbors",
        start_weight=20.0,
        smoothness_weight=20.0,
        style_weight=1.0,
        mixture_n_init=10,
        pretraining_epochs="auto",
        pretraining_learning_rate=2e-3,
        max_epochs="auto",
        batch_size="auto",
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
        self.pretraining_learning_rate = pretraining_learning_rate
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
        for name in ("hidden_layer_sizes", "other_categories"):
            values = list(getattr(self, name))
            if not all(isinstance(value, Integral) and value > 0 for value in values):
                raise ValueError(f"{name} must be positive whole numbers, got {values}.")
        sizes = [self.n_clusters, *self.other_categories]
        latent = LatentSpace(self.n_noise, sizes, self.n_continuous)
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
        """Build what D and Q share, all but the last layers; return it and its width."""
        widths = list(self.hidden_layer_sizes)[:2] or [n_features]
        if self.discriminator is None:
            body = mlp(n_features, widths[-1], widths[:-1], self.activation)
        else:
            body = self._network("discriminator", n_features, widths[-1])
        return nn.Sequential(body, ACTIVATIONS[self.activation]()), widths[-1]

    def _generator(self, n_inputs, n_features):
        """Build the user's network, or the mirrored perceptron with batch normalisation."""
        if self.generator is not None:
            return self._network("generator", n_inputs, n_features)
        widths = list(self.hidden_layer_sizes)[:2][::-1]
        return normalised_mlp(n_inputs, n_features, widths, "relu")

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

    def _finish(self, model, X, random_state):
        device = next(model.parameters()).device
        blocks = batches(X, max(2, self._rows_in_step(X.shape[0])), None)
        seen = (model.likelihood.standardize(x.to(device)) for x in blocks if len(x) > 1)
        renew_statistics(model.body, seen)
        super()._finish(model, X, random_state)

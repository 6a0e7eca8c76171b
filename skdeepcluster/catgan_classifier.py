r"""CatGANClassifier: categorical GAN with some labels (Springenberg, 2016).

The discriminator's loss is that of :mod:`~skdeepcluster.catgan` plus, over labelled rows::

    discriminator   labels     -E_{x, y} log p(y|x)
"""

from functools import partial
from numbers import Real

import numpy as np
import torch
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch.nn.functional import nll_loss

from ._catgan import CatGANEstimator
from ._start import CodeStart
from .catgan import CatGAN
from .engine.batches import LabelledRows
from .engine.parallel import from_first
from .engine.randomness import draw_seed, generator
from .neighbors import labelled_start


class SemiSupervisedCatGAN(CatGAN):
    """CatGAN whose batches come with labelled rows.

    Parameters
    ----------
    *args, **kwargs
        As for :class:`~skdeepcluster.catgan.CatGAN`.
    label_weight : float, default=1.0
        Of the labelled rows' cross-entropy.
    """

    def __init__(self, *args, label_weight=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.label_weight = label_weight

    def discriminator_loss(self, x, labelled, target, start=None):
        """As without labels, and right about labelled rows; all are normalised together."""
        seen, known = self.likelihood.standardize(x), self.likelihood.standardize(labelled)
        log_p, log_known = self.log_probs(torch.cat([seen, known])).split([len(x), len(known)])
        labels = {"labels": self.label_weight * nll_loss(log_known, target)}
        return labels | self.terms(seen, log_p, start, alone=False)


class CatGANClassifier(ClassifierMixin, CatGANEstimator):
    r"""Categorical generative adversarial network for few labels and many rows.

    Learns from labelled rows and from rows without labels: sure about all of them, using all
    classes, unsure about rows that a generator makes up, and not jumping between close rows.

    Parameters
    ----------
    n_components : int, default=10
        Size of the code of the auto-encoder that the start comes from.
    hidden_layer_sizes : array-like of int, default=(500, 500, 2000)
        Widths of that auto-encoder's hidden layers. The first two are the discriminator's, and
        mirrored the generator's.
    activation : {"relu", "tanh", "gelu", "leaky_relu"}, default="leaky_relu"
        Activation of the hidden layers of both networks, which are normalised by batch.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        What the generator's output means. "bernoulli" needs data in [0, 1]; "gaussian" works on
        features that are standardised inside; "auto" takes "bernoulli" for data in [0, 1], else
        "gaussian". Inputs and outputs are always in the units of X.
    n_noise : int, default=64
        Size of the generator's input, drawn from N(0, I).
    noise : float, default=0.0
        Standard deviation of the noise that training adds to the input of every layer of the
        discriminator; the paper's experiments take 0.3 and more.
    label_weight : float, default=1.0
        Weight of the cross-entropy of labelled rows.
    balance_weight : float, default=1.0
        Weight of the entropy of the batch's mean prediction (all classes used); 1 in the paper.
    fake_weight : float, default=0.3
        Weight of the entropy of predictions for generated rows in the discriminator's loss; 1 in
        the paper. With 0 the generator is trained, but the discriminator ignores it.
    class_prior : None, "estimated" or array-like of shape (n_classes,), default=None
        Shares that the classes should have. None: equal ones, by the entropy of the mean
        prediction. An array: these, by the cross-entropy of prior and mean prediction.
        "estimated": the shares of the start.
    marginal_decay : float, default=0.0
        Of the running mean of predictions that stands for the batch's mean, whose entropy is
        biased where ``batch_size`` is small against the number of classes. 0: the batch's.
    init : {"neighbors"} or None, default="neighbors"
        Where training begins. "neighbors": from the likeliest class of each row by the labels in
        the neighbour graph of codes (see :func:`~skdeepcluster.neighbors.labelled_start`), by
        ``start_weight`` and ``smoothness_weight``. The codes are those of a denoising
        auto-encoder that is thrown away; where all rows have labels, none is needed. None: from
        nothing and without the two terms, which with ``fake_weight=1`` is the published way.
    start_weight : float, default=1.0
        Weight of the cross-entropy of the classes to those of the start, in training from a
        start; fades linearly to 0. An addition of this package.
    smoothness_weight : float, default=4.0
        Weight of the divergence between the classes of a row and of its worst neighbour within
        a short step (virtual adversarial training), in training from a start. An addition of
        this package; 0 halves the cost of a step, and 1 suits rows that all have labels.
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
        Trainings from new weights; the best by the mean of :meth:`score_samples` on X is kept.
    generator : callable, default=None
        ``generator(n_in, n_out)`` gives its network, ``n_in = n_noise``. None: a perceptron.
    discriminator : callable, default=None
        ``discriminator(n_in, n_out)`` gives its network; outputs are logits. None: a perceptron.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    start_labels_ : ndarray of shape (n_samples,) or None
        Labels at the start: what training added is the difference.
    model_ : SemiSupervisedCatGAN
        The trained torch module, usable by itself.
    history_ : list of dict
        One record per epoch, as of :class:`CatGANClustering`, and "discriminator_labels".
    n_iter_ : int
        Epochs trained, without those of the start.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X has names that are strings.

    See Also
    --------
    CatGANClustering : The same model without labels.
    sklearn.semi_supervised.LabelSpreading : Classes by the neighbour graph alone.

    Notes
    -----
    The objective is that of :class:`CatGANClustering` with the cross-entropy of the labelled rows
    added to the discriminator's [1]_; every batch comes with labelled rows.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import CatGANClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> some = np.where(np.arange(150) % 10 == 0, y, -1)  # 15 labels
    >>> catgan = CatGANClassifier(hidden_layer_sizes=(32,), random_state=0).fit(X, some)
    >>> catgan.score(X, y) > 0.8
    True
    """

    _parameter_constraints = {
        **{
            name: constraint
            for name, constraint in CatGANEstimator._parameter_constraints.items()
            if name not in ("n_clusters", "mixture_n_init")
        },
        "init": [StrOptions({"neighbors"}), None],
        "label_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        n_components=10,
        hidden_layer_sizes=(500, 500, 2000),
        activation="leaky_relu",
        likelihood="auto",
        n_noise=64,
        noise=0.0,
        label_weight=1.0,
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior=None,
        marginal_decay=0.0,
        init="neighbors",
        start_weight=1.0,
        smoothness_weight=4.0,
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
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.likelihood = likelihood
        self.n_noise = n_noise
        self.noise = noise
        self.label_weight = label_weight
        self.balance_weight = balance_weight
        self.fake_weight = fake_weight
        self.class_prior = class_prior
        self.marginal_decay = marginal_decay
        self.init = init
        self.start_weight = start_weight
        self.smoothness_weight = smoothness_weight
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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train on X and the labels there are.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to learn from. Sparse only with ``accept_sparse=True``.
        y : array-like of shape (n_samples,)
            Labels; -1 for rows without one, as elsewhere in scikit-learn, and "-1" among strings.
            If -1 and 1 are the only numbers, they are two classes: without the -1 there would be
            nothing to tell apart.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            When no row has a label.
        FloatingPointError
            When a loss stops being finite.
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        check_consistent_length(X, y)
        self._labels = _encoded(y)
        if self._continues() and not np.array_equal(self.classes_, self._labels[0]):
            raise ValueError(
                f"warm_start=True goes on with the classes {self.classes_}, but y has "
                f"{self._labels[0]}. Give labels of all classes, or set warm_start=False."
            )
        try:
            return super().fit(X, y)
        finally:
            del self._labels

    def _least_rows(self):
        return 1

    def _build(self, n_features, likelihood):
        classes = self._labels[0] if hasattr(self, "_labels") else self.classes_
        return self._model(
            SemiSupervisedCatGAN,
            n_features,
            len(classes),
            likelihood,
            label_weight=self.label_weight,
        )

    def _prepare(self, model, X, random_state, is_new):
        prepared = super()._prepare(model, X, random_state, is_new)
        rows = LabelledRows(
            X,
            *prepared.rows.columns,
            targets=self._labels[1],
            generator=generator(draw_seed(random_state)),
        )
        return prepared._replace(rows=rows)

    def _partition(self, likelihood, X, random_state):
        classes, targets = self._labels
        if (targets >= 0).all():
            return np.eye(len(classes))[targets], False
        return super()._partition(likelihood, X, random_state)

    def _start(self, init, codes, compared, random_state):
        classes, targets = self._labels
        ways = {"random_state": random_state, "n_jobs": torch.get_num_threads()}
        found = partial(labelled_start, codes, targets, len(classes), **ways)
        likeliest = from_first(found, random_state).argmax(1)  # how unsure it is means little
        return CodeStart(None, np.eye(len(classes))[likeliest])

    def _snapshot(self, model, history, X):
        return super()._snapshot(model, history, X) | {"classes_": self._labels[0]}

    def _keep(self, run, X):
        super()._keep(run, X)
        self.classes_ = self._labels[0]
        if run.start_labels is not None:
            self.start_labels_ = self.classes_[run.start_labels]

    def predict_proba(self, X):
        """Probability of each class, given the row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes), float32
            Columns in the order of ``classes_``; rows sum to one.
        """
        check_is_fitted(self)
        return self._map(lambda x: self.model_.log_resp(x).exp().float(), X)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Among ``classes_``.
        """
        check_is_fitted(self)
        return self.classes_[self._map(lambda x: self.model_.log_resp(x).argmax(-1), X)]


def _encoded(y):
    """Classes, sorted, and the number of each row's class, -1 where it has no label."""
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "fc":
        assert_all_finite(y, input_name="y")
    if y.dtype.kind in "OUS":
        labelled = np.array([str(label) != "-1" for label in y], dtype=bool)
    else:
        labelled = y != -1
        if set(np.unique(y)) == {-1, 1}:
            labelled[:] = True
    if not labelled.any():
        raise ValueError(
            "No row has a label: all of y is -1. Give at least one label of each class, or use "
            "CatGANClustering, which needs none."
        )
    known = np.array(y[labelled].tolist()) if y.dtype.kind == "O" else y[labelled]
    check_classification_targets(known)
    classes, numbers = np.unique(known, return_inverse=True)
    targets = np.full(len(y), -1, dtype=np.int64)
    targets[labelled] = numbers
    return classes, targets

"""CatGANClassifier: the categorical GAN with some labels (Springenberg, 2016)."""

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets

from .catgan import CATGAN_CONSTRAINTS, CatGANEstimator
from .deep.fit import Recipe, assign
from .deep.start import InitialPartition
from .input.checks import warn_user
from .input.dask import maps_blocks
from .input.labels import Known, encode_labels, read_labels
from .input.parameters import store_parameters
from .input.types import Auto, Widths
from .partition.known import partition_by_labels


class CatGANClassifier(ClassifierMixin, CatGANEstimator):
    """Categorical generative adversarial network for few labels and many samples.

    Its predictions are certain for labeled and unlabeled samples and uncertain for generated ones.

    Parameters
    ----------
    label_weight : float
        Weight of the cross-entropy of labeled samples.
    class_prior : None, "auto" or array-like of shape (n_classes,)
        Shares that the classes should have. None: equal. "auto": by the initial classes, if any.
    init : {"neighbors", "own"}
        Initial classes. "neighbors": the most probable class of each sample when the labels spread
        along a neighbor graph of X, made dense, and standardized if ``standardize_``. "own": no
        initial classes, as published.
    init_weight : float
        Weight of the cross-entropy between initial classes and predictions; fades linearly to 0.
    smoothness_weight : float
        Weight of the divergence between predictions for a sample and for the nearby point where
        they change most (virtual adversarial training [2]_). 1 suits data that are all labeled.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    init_labels_ : ndarray of shape (n_samples,) or None
        Initial classes.
    class_prior_ : ndarray of shape (n_classes,)
        Shares that training asks the classes to have.
    model_ : CatGAN
        The trained torch module.
    history_ : list of dict
        One record per epoch, as in :class:`CatGANClustering`, and "discriminator_labels".
    temperature_ : float
        Always 1.

    See Also
    --------
    CatGANClustering : The same model without labels.
    sklearn.semi_supervised.LabelSpreading : Classes by the neighbor graph alone.

    Notes
    -----
    The discriminator's loss is the one of :class:`CatGANClustering` plus the cross-entropy of
    labeled samples [1]_; every batch comes with some of them.

    References
    ----------
    .. [1] J. T. Springenberg, "Unsupervised and Semi-supervised Learning with Categorical
       Generative Adversarial Networks", ICLR 2016.
    .. [2] T. Miyato et al., "Virtual Adversarial Training", IEEE TPAMI 2018.

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
        **CATGAN_CONSTRAINTS,
        "init": [StrOptions({"neighbors", "own"})],
    }

    def __init__(
        self,
        *,
        hidden_layer_sizes: Widths = "auto",
        likelihood: Any = "auto",
        standardize: bool | Auto = "auto",
        kinds: Any = "auto",
        label_weight=1.0,
        balance_weight=1.0,
        fake_weight=0.3,
        class_prior=None,
        init: Any = "neighbors",
        init_weight=1.0,
        smoothness_weight=4.0,
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

    _recipe = Recipe(rate=3e-3, steps=12, is_adversarial=True, draws_labeled=True)

    def _read_known(self, y, n_samples):
        """Return the :class:`Known` classes, sorted, of the samples."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y, is_known = read_labels(y)
        check_consistent_length(range(n_samples), y)
        if y.dtype.kind == "f":
            assert_all_finite(y, allow_nan=True, input_name="y")
        if set(y.tolist()) in ({-1, 1}, {"-1", "1"}):  # two classes
            is_known[:] = True
        if not is_known.any():
            raise ValueError(
                "No sample has a label: all of y is -1 or missing. Label some, or use "
                "CatGANClustering."
            )
        classes, targets = encode_labels(y, is_known)
        check_classification_targets(classes)
        if len(classes) < 2:
            raise ValueError(
                f"y has one class, {classes[0]}, but two are needed. Label samples of another one."
            )
        return Known(targets, classes, len(classes))

    def _find_initial(self, data, augment, random_state):
        """Return the likeliest classes by the neighbor graph."""
        n_classes = data.known.n_clusters
        labels = data.labels
        if labels.max() < 0:
            raise ValueError(
                "sample_weight selects no labeled sample. Give some larger weights."
            )
        if self.init == "own":
            return InitialPartition(n_classes)
        if (labels >= 0).all():
            return InitialPartition(n_classes, np.eye(n_classes)[labels])
        prepared = data.compare().change(augment)
        n_jobs = torch.get_num_threads()
        resp = partition_by_labels(prepared, labels, n_classes, random_state, n_jobs)
        return InitialPartition(n_classes, np.eye(n_classes)[resp.argmax(1)])

    def _set_labels(self, training, run):
        data = training.data
        classes = data.known.classes
        labels, _ = assign(run.model, data.X_given)
        if len(classes) > 1 and (labels == labels[0]).all():
            warn_user(
                f"All samples are classified as {classes[labels[0]]}. Give more labels, train "
                "longer (max_epochs), or give class_prior."
            )
        initial = data.fill(run.initial.labels, labels)
        self.classes_ = classes
        self.init_labels_ = None if initial is None else classes[initial]

    @maps_blocks
    def predict(self, X) -> np.ndarray:
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples to classify. For a Dask array, the result is lazy.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Among ``classes_``.
        """
        clusters = self._map("assign_surely", X)[:, 0]
        return self.classes_[clusters.astype(int)]

"""Parameters and attributes that networks share, beside those of ``input/documentation.py``.

The first text of a name counts: a class's own, then those below from top to bottom.

With n_clusters
---------------
n_clusters : int, (int, int) or "auto"
    Number of clusters. With "auto" or bounds (lowest, highest), ``init`` finds the number.
use_labels : bool
    Whether ``y`` of ``fit`` holds known clusters, -1 where unknown. The initial partition
    contains them; ``init_weight`` keeps them in training. ``labels_`` may differ from ``y``.
labels_ : ndarray of shape (n_samples,)
    Cluster of each sample of X, -1 for noise; equal to ``predict(X)``.
probabilities_ : ndarray of shape (n_samples,)
    Probability of the most probable cluster of each sample.
outlier_scores_ : ndarray of shape (n_samples,)
    Mahalanobis distance of each sample to the nearest cluster mean [3]_.
offset_ : float
    Samples whose outlier score exceeds ``-offset_`` are noise.
init_labels_ : ndarray of shape (n_samples,) or None
    Initial partition, numbered like ``labels_``, or None without any.
moved_ : float or None
    Share of the samples whose cluster differs from ``init_labels_``.
n_clusters_ : int
    Number of clusters.
n_clusters_curve_ : Bunch
    As in :class:`NeighborClustering`, if the number was sought.
temperature_ : float
    Log-probabilities are divided by this number, at least 1, to calibrate ``predict_proba``.

With fake_weight
----------------
balance_weight : float
    Weight of the entropy of the mean prediction of a batch; 1 in the paper.
fake_weight : float
    Weight of the entropy of predictions for generated samples, in D's loss; 1 in the paper.
max_epochs : int or "auto"
    Epochs after pretraining. "auto": ``12 * max(sqrt(n_samples), n_clusters)`` steps, four times
    as many with ``augment`` or ``init="own"``.
learning_rate : float or "auto"
    Peak of the one-cycle schedule of AdamW. "auto": ``3e-3 * 500 / w`` with w the width of the
    first hidden layer, and ``3e-3`` for the generator.
image_shape : tuple of int
    (height, width) or (channels, height, width) of images whose pixels are the features;
    the discriminator is then convolutional by default.
generator : callable
    ``generator(n_in, n_out)`` returns the generator, whose 64 inputs are noise. None: a multilayer
    perceptron that is normalized by batch.
discriminator : callable
    ``discriminator(n_in, n_out)`` returns the discriminator, whose outputs are logits. None: a
    multilayer perceptron that is normalized by batch. That of the paper adds noise of 0.3 or more
    to its layers.

With generator
--------------
hidden_layer_sizes : array-like of int or "auto"
    Widths of the autoencoder. The discriminator uses the first two; the generator mirrors it.
    "auto": (w, w, 4 w), w =
    ``max(500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1) ** 0.25, 128)``.
init : {"neighbors", "own"}, clusterer or array-like
    Initial partition. "neighbors": :class:`NeighborClustering`. A scikit-learn clusterer: a
    clone of it with this ``n_clusters`` and ``random_state``. Both cluster X, made dense, and
    standardized if ``standardize_``. "own": a Gaussian mixture of the codes of an autoencoder;
    with ``pretraining_epochs=0`` no initial partition, as published. An array: clusters
    (n_samples,) or responsibilities (n_samples, n_clusters).
pretraining_epochs : int or "auto"
    Epochs of the autoencoder with ``init="own"``. "auto": ``6 * sqrt(n_samples)`` steps, four
    times as many for probabilities.

With encoder
------------
n_components : int
    Size of the code.
hidden_layer_sizes : array-like of int or "auto"
    Widths of the encoder's hidden layers; the decoder mirrors them. "auto": (w, w, 4 w), w =
    ``max(500 * sqrt(min(n_features / 784, 1)) * min(n_samples / 70000, 1) ** 0.25, 128)``.
activation : {"relu", "tanh", "gelu", "leaky_relu"}
    Activation of the hidden layers.
init : {"neighbors", "own"}, clusterer or array-like
    Initial partition, which training stays near. "neighbors": :class:`NeighborClustering`. A
    scikit-learn clusterer: a clone of it with this ``n_clusters`` and ``random_state``. Both
    cluster X, made dense, and standardized if ``standardize_``. An array: clusters (n_samples,)
    or responsibilities (n_samples, n_clusters). "own": a Gaussian mixture of the pretrained
    codes; as published with ``smoothness_weight=0``.
init_weight : float
    Weight of the cross-entropy between the initial partition and the predictions. Not used with
    ``init="own"``, where training leaves the initial partition.
pretraining_epochs : int or "auto"
    Number of epochs of the autoencoder; 0 for networks that are pretrained. "auto":
    ``6 * sqrt(n_samples)`` steps, four times as many for probabilities with ``init="own"``.
max_epochs : int or "auto"
    Number of epochs after pretraining. "auto": ``6 * sqrt(n_samples)`` steps, four times as many
    with ``augment`` or ``init="own"``.
image_shape : tuple of int
    (height, width) or (channels, height, width) of images whose pixels are the features;
    encoder and decoder are then convolutional by default.
decoder : callable
    ``decoder(n_in, n_out)`` returns the decoder. None: the mirrored perceptron.

With pretraining_epochs
-----------------------
pretraining_epochs_ : int
    Number of pretraining epochs.

With max_epochs
---------------
likelihood : {"auto", "bernoulli", "gaussian"}
    Distribution of the numbers. "bernoulli": probabilities in [0, 1]. "gaussian": numbers,
    with learned noise levels. "auto": chosen by the values. Categories are categorical.
standardize : "auto" or bool
    Whether Gaussian features are divided by their own standard deviations (True) or all by one
    number (False). "auto": False for features of comparable scales or principal components.
smoothness_weight : float
    Weight of the divergence between predictions for a sample and for the nearby point where
    they change most (virtual adversarial training [2]_). With ``init="own"`` the mutual
    information between samples and clusters comes with it, and VaDE multiplies it by
    ``n_features / 196``, DAC by 4.
batch_size : int or "auto"
    Number of samples in a step. "auto": sqrt(n_samples), from 32 to 256.
n_init : int
    Number of training runs from new weights. The best by mean :meth:`score_samples` is kept.
augment : callable or "auto"
    ``augment(x)`` returns samples x, a tensor in the units of X, with changes that keep their
    clusters; :class:`~skdeepcluster.nn.RandomAffine` suits images. The
    neighbor search for the initial partition uses the changes. Networks learn to predict the
    cluster of a changed sample: first the initial one, at last the most probable one of the
    original sample. Densities and generators describe the original samples. "auto": as in
    :class:`NeighborClustering`, for images if ``image_shape`` is given, else for series.
callbacks : list of skorch callbacks
    Used in training, not in pretraining: ``[EarlyStopping(monitor="train_loss")]``.
device : str
    "auto": a GPU if there is one, else the CPU.
verbose : int
    1: a progress bar over all phases. 2: a table with a line per epoch.
n_iter_ : int
    Number of training epochs, without pretraining.
likelihood_ : {"bernoulli", "gaussian", "columns"}
    Likelihood used; "columns" if it differs between columns.
standardize_ : bool
    Whether features are divided by their own standard deviations.
hidden_layer_sizes_, learning_rate_, batch_size_, max_epochs_ : numbers
    Values used.
device_ : str
    Device of training.
augment_ : callable or None
    The augmentation used.
augment_scores_ : dict
    With ``augment="auto"``, the score of each, as in NeighborClustering.
"""

from functools import partial

from ..utils.documentation import shared_docs

network_docs = partial(shared_docs, texts=__doc__)

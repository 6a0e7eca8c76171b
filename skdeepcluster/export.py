"""Predictions of fitted estimators as ONNX files, for other runtimes.

Needs the extra ``onnx``: onnx, onnxscript and, for a Pipeline, skl2onnx.
"""

import copy
import logging
import math
import os
import warnings
from contextlib import ExitStack
from itertools import chain

import numpy as np
import torch
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .deep.base import DeepEstimator, EmbeddingMixin
from .functional.gaussian import joint_density
from .gaussian_mixture import GaussianMixtureEM
from .input.files import replace_atomically
from .neighbor_clustering import NeighborClustering
from .neighbors.samples import find_limit
from .vae import VAEEmbedding


def to_onnx(estimator, path: str | os.PathLike[str]) -> None:
    """Write the predictions of a fitted estimator as an ONNX graph.

    Parameters
    ----------
    estimator : estimator
        An estimator of this package, or a Pipeline that ends with one and whose other steps
        skl2onnx converts. The file of a :class:`~skdeepcluster.NeighborClustering`, which needs
        dense samples and the metric "euclidean" or "cosine", contains its samples.
    path : str or path-like
        The file to write. An existing file is replaced once the new one is complete.

    Raises
    ------
    TypeError
        If the estimator has nothing to export, or a step of a Pipeline cannot be converted.
    ImportError
        If a package of the extra is not installed.

    See Also
    --------
    skdeepcluster.persistence.save : Writes a file that this package reads.

    Notes
    -----
    The graph has one input "X", float32 of shape (n_samples, n_features), in the units of the
    data. A Pipeline whose first step is a ColumnTransformer fitted to a DataFrame has one input
    of shape (n_samples, 1) for each column that is used: text if its categories are text, else
    float32. Characters of a name other than letters and digits become underscores.

    The outputs are "labels", int64, equal to ``predict`` (positions in ``classes_`` for a
    classifier); "probabilities", float32 of shape (n_samples, n_clusters); and, if the estimator
    has ``transform``, its result "codes", float32. Networks accept missing values; other
    estimators give samples with missing values the label -1 and nan probabilities. If more than
    six samples tie for the last neighbor, a NeighborClustering may choose among them differently.
    Single precision changes the probabilities of points far from all samples, by up to 0.03 where
    measured.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.export import to_onnx
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
    ...     to_onnx(mixture, file.name)
    """
    *before, last = _list_steps(estimator)
    check_is_fitted(estimator)

    import onnx

    with warnings.catch_warnings(action="ignore"), ExitStack() as stack:
        # The exporters report on their own code and on packages that are not needed.
        logger = logging.getLogger("torch.onnx")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        model = _export(last, "prepared" if before else "X")
        if before:
            model = _prepend(make_pipeline(*before), model)
    onnx.checker.check_model(model)
    with replace_atomically(path) as file:
        file.write(model.SerializeToString())


def _export(estimator, input_name):
    """Return the ONNX model of an estimator of this package."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    predictions = _build_module(estimator).eval()
    samples = torch.zeros(2, estimator.n_features_in_)
    program = torch.onnx.export(
        predictions,
        (samples,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        input_names=[input_name],
        output_names=predictions.names,
        verbose=False,
    )
    ClearMetadataAndDocStringPass()(program.model)  # they name files of this machine
    return program.model_proto


# ---- pipelines


def _list_steps(estimator):
    """List the steps of nested Pipelines without "passthrough"."""
    if isinstance(estimator, Pipeline):
        nested = [_list_steps(step) for _, step in estimator.steps]
        return list(chain.from_iterable(nested))
    return [] if estimator in ("passthrough", None) else [estimator]


def _prepend(steps, model):
    """Return the ONNX model of the steps of a Pipeline, followed by a model of its output."""
    from onnx import compose
    from skl2onnx import convert_sklearn

    versions = {opset.domain: opset.version for opset in model.opset_import}
    opsets = {"": versions[""], "ai.onnx.ml": 3}
    try:
        steps, inputs = _describe_inputs(steps)
        first = convert_sklearn(steps, None, inputs, target_opset=opsets)
        # The converter writes the lowest version that has the same operators.
        first.ir_version = model.ir_version
        for opset in first.opset_import:
            opset.version = opsets[opset.domain]
        first = compose.add_prefix(
            first, "prepare/", rename_inputs=False, rename_outputs=False
        )
        prepared = first.graph.output[0].name
        return compose.merge_models(first, model, [(prepared, "prepared")])
    except Exception as error:
        raise TypeError(
            f"Steps of the Pipeline cannot be exported: {error} Export pipeline[-1], "
            "and apply pipeline[:-1] before."
        ) from error


def _describe_inputs(steps):
    """Return the steps of a Pipeline with named columns, and names and types of its inputs."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    first = steps[0]
    names = getattr(first, "feature_names_in_", None)
    if not isinstance(first, ColumnTransformer) or names is None:
        return steps, [("X", FloatTensorType([None, steps.n_features_in_]))]

    named = []
    kinds = {}
    for name, part, _ in first.transformers_:
        if part == "drop":
            continue
        columns = list(first._transformer_to_input_indices[name])
        named.append((name, part, names[columns].tolist()))
        levels = chain(
            *(getattr(step, "categories_", ()) for step in _list_steps(part))
        )
        has_texts = any(known.dtype.kind in "OU" for known in levels)
        kind = StringTensorType if has_texts else FloatTensorType
        kinds |= dict.fromkeys(columns, kind([None, 1]))
    inputs = [(names[i], kinds[i]) for i in sorted(kinds)]
    resolved = copy.copy(first)
    resolved.transformers_ = named
    return make_pipeline(resolved, *steps[1:]), inputs


# ---- predictions


def _build_module(estimator):
    """Return the module that computes the predictions of an estimator."""
    kinds = NeighborClustering, GaussianMixtureEM, DeepEstimator
    if not isinstance(estimator, kinds):
        raise TypeError(
            f"{type(estimator).__name__} has neither a network nor a mixture to export. Export "
            "the estimators_ of an ensemble."
        )
    if not set(estimator.preparation_.kinds_.values()) <= {"number", "constant"}:
        raise TypeError(
            "A fit to categories, codes or amounts cannot be exported. Encode them in "
            "a Pipeline."
        )
    if isinstance(estimator, NeighborClustering):
        return _NeighborPredictions(estimator)
    if isinstance(estimator, GaussianMixtureEM):
        return _Predictions(_MixtureAssignment(estimator.mixture_))

    model = copy.deepcopy(estimator.model_).cpu()
    encode = model.encode if isinstance(estimator, EmbeddingMixin) else None
    log_resp = model.calibrated_log_resp
    if isinstance(estimator, VAEEmbedding):
        mixture = model.mixture.mixture
        log_resp = _MixtureAssignment(mixture, encode, model.temperature)
    # A classifier has no noise.
    offset = getattr(estimator, "offset_", -math.inf)
    return _Predictions(log_resp, encode, model, offset)


class _Predictions(nn.Module):
    """Labels, probabilities and codes of samples."""

    def __init__(self, log_resp, encode=None, model=None, offset=-math.inf):
        super().__init__()
        self.log_resp = log_resp
        self.encode = encode
        self.model = model  # registers the parameters of the two methods
        self.offset = offset
        self.names = ["labels", "probabilities"]
        if encode is not None:
            self.names.append("codes")

    def forward(self, x):
        log_resp = self.log_resp(x)
        is_refused = log_resp.isnan().any(-1)
        if self.offset > -math.inf:
            is_refused |= -self.model.outlier_scores(x) < self.offset
        labels = torch.where(is_refused, -1, log_resp.argmax(-1))

        outputs = [labels, log_resp.exp().float()]
        if self.encode is not None:
            outputs.append(self.encode(x).float())
        return tuple(outputs)


class _MixtureAssignment(nn.Module):
    """Log p(k | x) under a mixture of samples or of their codes."""

    def __init__(self, mixture, encode=None, temperature=1.0):
        super().__init__()
        self.encode = encode
        self.temperature = temperature
        self.log_joint = joint_density(mixture)

    def forward(self, x):
        """Return log-responsibilities (N, K)."""
        z = x if self.encode is None else self.encode(x)
        return (self.log_joint(z.double()) / self.temperature).log_softmax(-1)


class _NeighborPredictions(nn.Module):
    """Labels, probabilities and layout of samples, interpolated between their neighbors.

    It repeats ``NeighborIndex.query`` and ``interpolate`` in torch.
    """

    names = ("labels", "probabilities", "codes")

    def __init__(self, estimator):
        super().__init__()
        reference = estimator._lookup.reference
        rows = reference.rows
        metric = reference.metric
        is_known = metric in ("euclidean", "cosine") and not sparse.issparse(rows)
        if not is_known or estimator.augment_ is not None:
            raise TypeError(
                "Only a NeighborClustering with dense samples, metric='euclidean' or 'cosine' "
                f"and augment=None can be exported, got metric={metric!r} and "
                f"{type(rows).__name__}. Export a network with this init."
            )
        self.is_cosine = metric == "cosine"
        self.limit = find_limit(rows, metric)
        self.n_neighbors = min(reference.n_neighbors, len(rows))

        kept = reference.kept
        values = [
            estimator.responsibilities_[kept],
            estimator.layout_[kept],
            reference.spacing[:, None],
        ]
        self.widths = [value.shape[1] for value in values]
        ones = np.ones((1, estimator.n_features_in_))
        buffers = {
            "factors": np.asarray(estimator.preparation_.transform(ones)),
            "offset": estimator.offset_,
            "values": np.concatenate(values, 1),
            # Products of samples are rounded less around the mean.
            "center": torch.as_tensor(rows, dtype=torch.float64).mean(0),
            "rows": rows,
        }
        # Numbers in the graph, unlike buffers, would be rounded to float32.
        for name, value in buffers.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float64))
        self.rows = self._center(self.rows)

    def _center(self, x):
        """Return samples relative to the mean, or of unit length as in ``NeighborIndex``."""
        x = x.clamp(-self.limit, self.limit)
        if not self.is_cosine:
            return x - self.center
        length = x.norm(dim=1, keepdim=True)
        is_zero = (length == 0).double()
        return torch.cat([x / (length + is_zero), is_zero], 1)

    def _find_neighbors(self, x):
        """Return distances and indices of the nearest samples; ties go to the lower index."""
        near = x @ self.rows.T - self.rows.square().sum(1) / 2
        n_searched = min(self.n_neighbors + 6, len(self.rows))
        candidates = near.topk(n_searched).indices.sort(1).values

        gaps = x[:, None] - self.rows[candidates]
        squares = gaps.square().sum(2)
        squares, order = squares.topk(self.n_neighbors, largest=False)
        distances = squares / 2 if self.is_cosine else squares.sqrt()
        return distances, candidates.gather(1, order)

    def forward(self, x):
        x = self._center(x.double() * self.factors)
        distances, neighbors = self._find_neighbors(x)
        nearest = distances[:, :1]
        is_known = nearest == 0

        is_equal = (distances == 0).double()
        weights = torch.where(is_known, is_equal, nearest / distances)
        weights = weights / weights.sum(1, keepdim=True)

        means = (weights[:, :, None] * self.values[neighbors]).sum(1)
        resp, layout, spacing = means.split(self.widths, 1)
        mean_distance = distances.mean(1, keepdim=True)
        score = torch.where(is_known, spacing, mean_distance)[:, 0]
        # Missing values are not filled in a file, so such samples get no cluster.
        is_refused = (-score < self.offset) | resp.isnan().any(1)
        labels = torch.where(is_refused, -1, resp.argmax(1))
        return labels, resp.float(), layout.float()

"""Predictions of fitted estimators as ONNX files, for other runtimes.

Needs the extra ``onnx``: onnx, onnxscript and, for a Pipeline, skl2onnx.
"""

import copy
import importlib
import logging
import math
import os
import warnings
from contextlib import ExitStack
from importlib.util import find_spec

import torch
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .engine.checkpoint import replace_atomically
from .functional.gaussian import joint_density
from .neighbor_clustering import NeighborClustering
from .neighbors import partition


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
    has ``transform``, its result "codes", float32. Networks take missing values; of other
    estimators, samples that miss values have the label -1 and nan probabilities. If more than six
    samples are as far as the last neighbor, a NeighborClustering may take others of them.

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
    for name in ("onnx", "onnxscript", "skl2onnx")[: 3 if before else 2]:
        if find_spec(name) is None:
            raise ImportError(
                f"to_onnx needs {name}: pip install onnx onnxscript skl2onnx."
            )
    check_is_fitted(estimator)
    with warnings.catch_warnings(), ExitStack() as stack:
        # The exporters report on their own code and on packages that are not needed.
        warnings.simplefilter("ignore")
        logger = logging.getLogger("torch.onnx")
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
        model = _export(last, "prepared" if before else "X")
        model = _prepend(make_pipeline(*before), model) if before else model
    _strip(model)
    importlib.import_module("onnx").checker.check_model(model)
    with replace_atomically(path) as file:
        file.write(model.SerializeToString())


def _export(estimator, input_name):
    """Return the ONNX model of an estimator of this package."""
    predictions = _build_module(estimator).eval()
    return torch.onnx.export(
        predictions,
        (torch.zeros(2, estimator.n_features_in_),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n_samples")},),
        input_names=[input_name],
        output_names=predictions.names,
        verbose=False,
    ).model_proto


def _prepend(steps, model):
    """Return the ONNX model of the steps of a Pipeline, followed by a model of its output."""
    compose = importlib.import_module("onnx.compose")
    skl2onnx = importlib.import_module("skl2onnx")
    version = next(own.version for own in model.opset_import if not own.domain)
    opsets = {"": version, "ai.onnx.ml": 3}
    try:
        steps, inputs = _describe_inputs(steps)
        first = skl2onnx.convert_sklearn(
            steps, initial_types=inputs, target_opset=opsets
        )
        # The converter writes the lowest version in which its operators are the same.
        first.ir_version = model.ir_version
        for own in first.opset_import:
            own.version = opsets[own.domain]
        kept = {"rename_inputs": False, "rename_outputs": False}
        first = compose.add_prefix(first, "prepare/", **kept)
        return compose.merge_models(
            first, model, [(first.graph.output[0].name, "prepared")]
        )
    except Exception as error:
        raise TypeError(
            f"The steps before the last of a Pipeline cannot be exported: {error} Export the last "
            "step, pipeline[-1], and apply pipeline[:-1] before."
        ) from error


def _describe_inputs(steps):
    """Return the steps of a Pipeline with named columns, and names and types of its inputs."""
    types = importlib.import_module("skl2onnx.common.data_types")
    first = steps[0]
    names = getattr(first, "feature_names_in_", None)
    if not isinstance(first, ColumnTransformer) or names is None:
        return steps, [("X", types.FloatTensorType([None, steps.n_features_in_]))]
    resolved, used, texts = copy.copy(first), set(), set()
    resolved.transformers_ = []
    for name, part, _ in first.transformers_:
        if part == "drop":
            continue
        columns = list(first._transformer_to_input_indices[name])
        used.update(columns)
        parts = part if isinstance(part, Pipeline) else [part]
        categories = [own for step in parts for own in getattr(step, "categories_", [])]
        if any(own.dtype.kind in "OU" for own in categories):
            texts.update(columns)
        resolved.transformers_.append((name, part, names[columns].tolist()))
    kinds = {
        i: types.StringTensorType if i in texts else types.FloatTensorType for i in used
    }
    inputs = [(names[i], kinds[i]([None, 1])) for i in sorted(used)]
    return make_pipeline(resolved, *steps[1:]), inputs


def _list_steps(estimator):
    """List the steps of nested Pipelines without "passthrough"."""
    if isinstance(estimator, Pipeline):
        return [own for _, step in estimator.steps for own in _list_steps(step)]
    return [] if estimator in ("passthrough", None) else [estimator]


def _strip(message):
    """Clear the comments and metadata of a protobuf message and of all messages within."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


def _build_module(estimator):
    """Return the module that computes the predictions of an estimator."""
    if hasattr(estimator, "_table"):
        raise TypeError(
            "A fit with categorical_features cannot be exported. Encode the categories by a "
            "ColumnTransformer with OneHotEncoder in a Pipeline, and export the Pipeline."
        )
    if isinstance(estimator, NeighborClustering):
        return _NeighborPredictions(estimator)
    if hasattr(estimator, "mixture_"):
        return _Predictions(_MixtureAssignment(estimator.mixture_))
    if not hasattr(estimator, "model_"):
        raise TypeError(
            f"{type(estimator).__name__} has neither a network nor a mixture to export. Export "
            "the members of an ensemble one by one (estimators_)."
        )
    model = copy.deepcopy(estimator.model_).cpu()
    encode = model.encode if hasattr(estimator, "transform") else None
    log_resp = model.calibrated_log_resp
    if hasattr(model, "mixture"):
        log_resp = _MixtureAssignment(model.mixture.mixture, encode, model.temperature)
    return _Predictions(
        log_resp, encode, model, getattr(estimator, "offset_", -math.inf)
    )


class _Predictions(nn.Module):
    """Labels, probabilities and codes of samples."""

    def __init__(self, log_resp, encode=None, model=None, offset=-math.inf):
        super().__init__()
        self.log_resp, self.encode, self.offset = log_resp, encode, offset
        self.model = model  # registers the parameters of the two methods
        self.names = ["labels", "probabilities", *(["codes"] if encode else [])]

    def forward(self, x):
        log_resp = self.log_resp(x)
        labels = torch.where(log_resp.isnan().any(-1), -1, log_resp.argmax(-1))
        if self.offset > -math.inf:
            labels = torch.where(
                -self.model.outlier_scores(x) < self.offset, -1, labels
            )
        found = labels, log_resp.exp().float()
        return found if self.encode is None else (*found, self.encode(x).float())


class _MixtureAssignment(nn.Module):
    """Log p(k | x) under a mixture of samples or of their codes."""

    def __init__(self, mixture, encode=None, temperature=1.0):
        super().__init__()
        self.encode, self.temperature = encode, temperature
        self.log_joint = joint_density(mixture)

    def forward(self, x):
        """Return log-responsibilities (N, K)."""
        x = x if self.encode is None else self.encode(x)
        return (self.log_joint(x.double()) / self.temperature).log_softmax(-1)


class _NeighborPredictions(nn.Module):
    """Labels, probabilities and layout of samples, interpolated between their neighbors."""

    names = "labels", "probabilities", "codes"

    def __init__(self, estimator):
        super().__init__()
        reference = estimator._reference
        rows, metric = reference["rows"], reference["metric"]
        if metric not in ("euclidean", "cosine") or sparse.issparse(rows):
            raise TypeError(
                "Only a NeighborClustering fitted to dense samples with metric='euclidean' or "
                f"'cosine' can be exported, but got metric={metric!r} and {type(rows).__name__}."
            )
        self.is_cosine = metric == "cosine"
        # A number in the graph would be rounded to float32.
        self.register_buffer(
            "offset", torch.tensor(estimator.offset_, dtype=torch.float64)
        )
        self.k = min(reference["n_neighbors"], len(rows))
        factors = 1.0 if estimator._factors is None else estimator._factors
        self.register_buffer("factors", torch.tensor(factors, dtype=torch.float64))
        rows = torch.tensor(rows, dtype=torch.float64)
        self.limit = float(partition.find_limit(rows.numpy(), metric))
        # Distances are found from products, which are rounded less around the mean.
        self.register_buffer("center", rows.mean(0))
        self.register_buffer("rows", self.prepare(rows))
        values = estimator.responsibilities_, estimator.layout_
        resp, layout = (value[reference["kept"]] for value in values)
        values = {
            "resp": resp,
            "layout": layout,
            "spacing": reference["spacing"][:, None],
        }
        for name, value in values.items():
            self.register_buffer(name, torch.tensor(value).double())

    def prepare(self, x):
        """Return samples relative to the mean, or of unit length as in ``NeighborIndex``."""
        x = x.clamp(-self.limit, self.limit)
        if not self.is_cosine:
            return x - self.center
        length = x.norm(dim=1, keepdim=True)
        is_zero = (length == 0).double()
        return torch.cat([x / (length + is_zero), is_zero], 1)

    def forward(self, x):
        x = self.prepare(x.double() * self.factors)
        near = x @ self.rows.T - self.rows.square().sum(1) / 2
        # As in ``NeighborIndex``, more are searched, and ties go to the lower index.
        found = near.topk(min(self.k + 6, len(self.rows)), dim=1).indices.sort(1).values
        x = x[:, None]
        squares = (x - self.rows[found]).square().sum(2)
        squares, order = squares.topk(self.k, dim=1, largest=False)
        found = found.gather(1, order)
        neighbors = self.rows[found]
        distances = squares / 2 if self.is_cosine else squares.sqrt()
        is_known = (x == neighbors).all(2).any(1, keepdim=True)
        nearest = distances.amin(1, keepdim=True)
        weights = torch.where(
            nearest > 0, nearest / distances, (distances == 0).double()
        )
        weights = (weights / weights.sum(1, keepdim=True))[:, :, None]
        values = self.resp, self.layout, self.spacing
        resp, layout, spacing = ((weights * value[found]).sum(1) for value in values)
        scores = torch.where(
            is_known, spacing, distances.mean(1, keepdim=True)
        ).squeeze(1)
        # Values are not filled in a file; such samples get no cluster and no probabilities.
        is_refused = (-scores < self.offset) | resp.isnan().any(1)
        labels = torch.where(is_refused, -1, resp.argmax(1))
        return labels, resp.float(), layout.float()

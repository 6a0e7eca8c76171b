"""Fitted estimators as ONNX files: the encoder and the assignment, for other runtimes.

Needs onnx and onnxscript, and of a Pipeline skl2onnx: the extra ``onnx``.
"""

import copy
import importlib
import io
import logging
import os
import warnings
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._checkpoint import replace_atomically
from .functional.gaussian import joint_density
from .neighbor_clustering import NeighborClustering
from .neighbors.search import EXTRA

#: Whether to use torch's exporter by torch.export; before 2.7 it fails with current onnxscript.
NEW_EXPORTER = parse_version(torch.__version__) >= parse_version("2.7")


def to_onnx(estimator, path: str | os.PathLike[str]) -> None:
    """Write the predictions of a fitted estimator as an ONNX graph.

    Parameters
    ----------
    estimator : estimator
        Of this package, with ``predict_proba``; ensembles are not exported. A
        :class:`~skdeepcluster.NeighborClustering` is, if it was fitted to dense rows by the
        metric "euclidean" or "cosine"; the file holds the rows of its graph. A Pipeline is, if
        its last step is one of these and skl2onnx converts the others.
    path : str or path-like
        File to write; an existing one is replaced once the new one is whole.

    Raises
    ------
    TypeError
        When the estimator has nothing to export, or a step of a Pipeline cannot be converted.
    ImportError
        When onnx or onnxscript is not installed, or skl2onnx for a Pipeline.
    OSError
        When the disk does not take the file.

    See Also
    --------
    skdeepcluster.persistence.save : A file that this package reads again.

    Notes
    -----
    The graph takes "X", float32 of shape (n_samples, n_features), any number of samples, in the
    units of the data. It gives "labels", int64 of shape (n_samples,), the most probable clusters
    also of rows that ``noise`` marks; of a classifier these are positions in ``classes_``;
    "probabilities", float32 of shape (n_samples, n_clusters); and, where the estimator has codes
    or a layout, "codes", float32, what ``transform`` gives.

    The steps before the last of a Pipeline compute in float32. Where its first step is a
    ColumnTransformer fitted to a DataFrame, the graph takes an input of shape (n_samples, 1) for
    each column that is used, in their order and by their names: float32, or text where categories
    are text. Names in ONNX have underscores in place of all but letters and digits; the graph
    lists its own.

    Comments and metadata, in which exporters keep paths and source lines of the machine, are left
    out of the file.

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
            raise ImportError(f"to_onnx needs {name}: pip install onnx onnxscript skl2onnx.")
    check_is_fitted(estimator)
    with _quiet():
        model = _export(last, "prepared" if before else "X")
        model = _prepend(make_pipeline(*before), model) if before else model
    _strip(model)
    importlib.import_module("onnx").checker.check_model(model)
    with replace_atomically(path) as file:
        file.write(model.SerializeToString())


def _export(estimator, input_name):
    """Return the ONNX model of an estimator of this package."""
    answers = _build_answers(estimator).eval()
    rows = (torch.zeros(2, estimator.n_features_in_),)
    names = {"input_names": [input_name], "output_names": answers.names, "verbose": False}
    if NEW_EXPORTER:
        shapes = ({0: torch.export.Dim("n_samples")},)
        options = names | {"dynamic_shapes": shapes}
        return torch.onnx.export(answers, rows, dynamo=True, **options).model_proto
    file, axes = io.BytesIO(), {name: {0: "n_samples"} for name in [input_name, *answers.names]}
    torch.onnx.export(answers, rows, file, dynamo=False, dynamic_axes=axes, **names)
    return importlib.import_module("onnx").load_from_string(file.getvalue())


def _prepend(steps, model):
    """Return the ONNX model of the steps of a Pipeline, followed by a model of "prepared" rows."""
    compose, skl2onnx = (
        importlib.import_module("onnx.compose"),
        importlib.import_module("skl2onnx"),
    )
    version = next(own.version for own in model.opset_import if not own.domain)
    opsets = {"": version, "ai.onnx.ml": 3}
    try:
        steps, inputs = _describe_inputs(steps)
        first = skl2onnx.convert_sklearn(steps, initial_types=inputs, target_opset=opsets)
        # The converter writes the lowest version in which its operators are the same.
        first.ir_version = model.ir_version
        for own in first.opset_import:
            own.version = opsets[own.domain]
        kept = {"rename_inputs": False, "rename_outputs": False}
        first = compose.add_prefix(first, "prepare/", **kept)
        return compose.merge_models(first, model, [(first.graph.output[0].name, "prepared")])
    except Exception as error:
        raise TypeError(
            f"The steps before the last of a Pipeline cannot be exported: {error} Export the last "
            "step, pipeline[-1], and prepare the rows before."
        ) from error


def _describe_inputs(steps):
    """Return the steps of a Pipeline with columns by position or name, and their inputs.

    These are names and types, for skl2onnx.
    """
    types = importlib.import_module("skl2onnx.common.data_types")
    first = steps[0]
    names = getattr(first, "feature_names_in_", None)
    if not isinstance(first, ColumnTransformer):
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
        columns = columns if names is None else names[columns].tolist()
        resolved.transformers_.append((name, part, columns))
    steps = make_pipeline(resolved, *steps[1:])
    if names is None:
        return steps, [("X", types.FloatTensorType([None, first.n_features_in_]))]
    kinds = {i: types.StringTensorType if i in texts else types.FloatTensorType for i in used}
    return steps, [(names[i], kinds[i]([None, 1])) for i in sorted(used)]


def _list_steps(estimator):
    """List the steps of nested Pipelines, without those that pass rows on as they are."""
    if isinstance(estimator, Pipeline):
        return [own for _, step in estimator.steps for own in _list_steps(step)]
    return [] if estimator in ("passthrough", None) else [estimator]


def _strip(message):
    """Clear the comments and the metadata of a protobuf message, and of all within."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


@contextmanager
def _quiet():
    """Silence the log messages and warnings of torch's exporter."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def _build_answers(estimator):
    """Return the module that computes an estimator's predictions."""
    if isinstance(estimator, NeighborClustering):
        return _NeighborAnswers(estimator)
    if hasattr(estimator, "mixture_"):
        return _Answers(_MixtureAssignment(estimator.mixture_))
    if not hasattr(estimator, "model_"):
        raise TypeError(
            f"{type(estimator).__name__} has neither a network nor a mixture to export. "
            "Export the members of an ensemble one by one (estimators_), and estimators of "
            "scikit-learn by skl2onnx."
        )
    model = copy.deepcopy(estimator.model_).cpu()
    encode = model.encode if hasattr(estimator, "transform") else None
    if hasattr(model, "mixture"):
        return _Answers(
            _MixtureAssignment(model.mixture.mixture, encode, model.temperature), encode, model
        )
    return _Answers(model.calibrated_log_resp, encode, model)


class _Answers(nn.Module):
    """Labels, probabilities and codes of rows."""

    def __init__(self, log_resp, encode=None, model=None):
        super().__init__()
        self.log_resp, self.encode, self.model = log_resp, encode, model
        self.names = ["labels", "probabilities", *(["codes"] if encode else [])]

    def forward(self, x):
        log_resp = self.log_resp(x)
        answers = log_resp.argmax(-1), log_resp.exp().float()
        return answers if self.encode is None else (*answers, self.encode(x).float())


class _MixtureAssignment(nn.Module):
    """Log p(k | x) of a mixture of rows, or of their codes."""

    def __init__(self, mixture, encode=None, temperature=1.0):
        super().__init__()
        self.encode, self.temperature = encode, temperature
        self.log_joint = joint_density(mixture)

    def forward(self, x):
        """Return log-responsibilities, (N, K)."""
        x = x if self.encode is None else self.encode(x)
        return (self.log_joint(x.double()) / self.temperature).log_softmax(-1)


class _NeighborAnswers(nn.Module):
    """Labels, probabilities and layout of rows, by the nearest rows of a graph.

    The weights are those of ``neighbors.interpolation``.
    """

    def __init__(self, estimator):
        super().__init__()
        metric, rows = estimator._fit_params["metric"], estimator._rows
        if metric not in ("euclidean", "cosine") or sparse.issparse(rows):
            raise TypeError(
                f"A NeighborClustering by the metric {metric!r} on "
                f"{'sparse' if sparse.issparse(rows) else 'dense'} rows cannot be exported. Fit "
                "it to dense rows by the metric 'euclidean' or 'cosine'."
            )
        self.names = ["labels", "probabilities", "codes"]
        self.is_cosine = metric == "cosine"
        k = estimator._fit_params["n_neighbors"]
        self.k, self.wide = (min(n, len(rows)) for n in (k, k + EXTRA))
        rows = torch.tensor(rows, dtype=torch.float64)
        # Distances are found from products, which are rounded less about the mean.
        center = torch.zeros_like(rows[0]) if self.is_cosine else rows.mean(0)
        self.register_buffer("center", center)
        self.register_buffer("rows", self.prepare(rows))
        values = (estimator.responsibilities_, estimator.layout_)
        for name, value in zip(("resp", "layout"), values, strict=True):
            kept = torch.tensor(value[estimator._kept], dtype=torch.float64)
            self.register_buffer(name, kept)

    def prepare(self, x):
        """Return rows about the mean, or of unit length."""
        x = x.double() - self.center
        if not self.is_cosine:
            return x
        length = x.square().sum(-1, keepdim=True).sqrt()
        return x / torch.where(length > 0, length, 1.0)

    def forward(self, x):
        x, rows = self.prepare(x), self.rows
        near = x.square().sum(1, keepdim=True) - 2 * x @ rows.T + rows.square().sum(1)
        found = near.topk(self.wide, dim=1, largest=False).indices
        # Measured anew by differences, which are rounded as the distance is.
        distances = (x[:, None] - rows[found]).square().sum(2)
        if self.is_cosine:
            # A row of zeros is at distance 1 from all others.
            lost = rows[found].any(2) != x.any(1, keepdim=True)
            distances = torch.where(lost, 1.0, distances / 2)
        distances, order = distances.topk(self.k, dim=1, largest=False)
        found = found.gather(1, order)
        distances = distances if self.is_cosine else distances.sqrt()
        nearest = distances[:, :1]
        relative = nearest / torch.where(distances > 0, distances, 1.0)
        weights = torch.where(nearest > 0, relative, (distances == 0).double())
        weights = (weights / weights.sum(1, keepdim=True))[:, :, None]
        resp = (weights * self.resp[found]).sum(1)
        layout = (weights * self.layout[found]).sum(1)
        return resp.argmax(1), resp.float(), layout.float()

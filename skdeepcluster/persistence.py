"""Fitted estimators as skops files, which are read without running code from the file."""

import importlib
import os
from collections.abc import Sequence
from inspect import getmembers, isfunction
from zipfile import ZipFile

from sklearn.base import BaseEstimator

from .input.numbers import NumberColumns
from .input.preparation import Preparation, Scaled
from .input.tables import TableEncoder
from .modules import networks
from .modules.augmentation import RandomAffine, RandomFlip, RandomShift
from .neighbors import ConvolutionFeatures
from .partition.selection import Alternative
from .training.checkpoint import replace_atomically

#: Modules of the public names.
MODULES = importlib.import_module(__package__)._MODULES
CLASSES = [
    ConvolutionFeatures,
    RandomAffine,
    RandomFlip,
    RandomShift,
    Scaled,
    Alternative,
    Preparation,
    TableEncoder,
    NumberColumns,
]
#: Types and functions that a file may contain besides those that skops trusts.
TRUSTED = [
    *(f"{__package__}.{module}.{name}" for name, module in MODULES.items()),
    *(f"{kind.__module__}.{kind.__name__}" for kind in CLASSES),
    *(f"{networks.__name__}.{name}" for name, _ in getmembers(networks, isfunction)),
    "functools.partial",
    "numpy.dtype",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.compose._column_transformer._RemainderColsList",  # of scikit-learn 1.6
    "sklearn.utils._bunch.Bunch",
]
#: Maximum size of the content, as a multiple of the file's size: ``save`` does not compress.
MAX_EXPANSION = 10


def save(estimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator or Pipeline to a skops file.

    Parameters
    ----------
    estimator : estimator
        Estimator of this package or of scikit-learn, for example a Pipeline.
    path : str or path-like
        File to write. An existing file is replaced once the new one is complete.

    Raises
    ------
    TypeError
        If skops cannot store ``estimator``.

    See Also
    --------
    load : Reads the file.
    skdeepcluster.export.to_onnx : Writes the predictions for other runtimes.

    Notes
    -----
    Functions, such as a custom ``encoder``, are stored by name only.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import GaussianMixtureEM
    >>> from skdeepcluster.persistence import load, save
    >>> X = load_iris().data
    >>> mixture = GaussianMixtureEM(3, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(mixture, f"{folder}/mixture.skops")
    ...     again = load(f"{folder}/mixture.skops")
    >>> bool((again.predict(X) == mixture.predict(X)).all())
    True
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            f"save() takes an estimator and a path, but the first is a {type(estimator).__name__}."
        )
    import skops.io

    with replace_atomically(path) as file:
        skops.io.dump(estimator, file)


def load(path: str | os.PathLike[str], trusted: Sequence[str] = ()) -> BaseEstimator:
    """Read an estimator from a skops file.

    Parameters
    ----------
    path : str or path-like
        The file.
    trusted : list of str, default=()
        Full names of further types and functions that the file may contain, for example
        ``["my_package.build_encoder"]``.

    Returns
    -------
    estimator : estimator
        The fitted estimator, on the CPU.

    Raises
    ------
    ValueError
        If the file was not written by :func:`save`, is damaged, or expands far beyond its size.
    TypeError
        If the file contains types that are not trusted. The error names them.

    See Also
    --------
    save : Writes the file, with an example.
    """
    import skops.io

    try:
        with ZipFile(path) as file:
            size = sum(part.file_size for part in file.infolist())
        if size > MAX_EXPANSION * os.path.getsize(path):
            raise ValueError(
                f"its content would take {size} bytes, far more than the file"
            )
        estimator = skops.io.load(path, trusted=[*TRUSTED, *trusted])
    except OSError:
        raise
    except skops.io.exceptions.UntrustedTypesFoundException as error:
        raise TypeError(
            f"{path}: {error} If you trust its source, name them in load(path, trusted=[...])."
        ) from error
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a file of save(): {type(error).__name__}: {error}"
        ) from error
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(
            f"{path} contains a {type(estimator).__name__}, not an estimator."
        )
    return estimator

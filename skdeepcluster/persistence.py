"""Fitted estimators as skops files, which are read without running code from the file."""

import os
from collections.abc import Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from sklearn.base import BaseEstimator

#: The package, with the modules of its public names and its version.
PACKAGE = import_module(__package__)
#: Part of a file with the version of the package that wrote it.
VERSION_PART = "skdeepcluster_version"
#: Other names in files, by module: none is imported before a file needs it.
PARTS = {
    "nn.augmentation": "RandomAffine RandomFlip RandomShift",
    "nn.networks": "mlp normalized_mlp conv_encoder conv_decoder conv_discriminator "
    "conv_generator conv_classifier",
    "neighbors.augmented": "AugmentedViews",
    "neighbors.samples": "Reference Samples",
    "input.preparation": "Preparation Scaled",
    "input.encoder": "ColumnEncoder",
    "input.categories": "CategoryEncoder",
    "input.tables": "TableReader",
    "input.numbers": "NumberEncoder",
    "input.scaler": "Features Scaler",
    "input.imputer": "Imputer",
    "partition.selection": "Alternative Partition",
}
#: Types and functions that a file may contain besides those that skops trusts.
TRUSTED = [
    *(f"{__package__}.{module}.{name}" for name, module in PACKAGE._MODULES.items()),
    *(
        f"{__package__}.{module}.{name}"
        for module, names in PARTS.items()
        for name in names.split()
    ),
    "builtins.range",
    "functools.partial",
    "numpy.dtype",
    "scipy.sparse._csr.csr_array",
    "scipy.sparse._csr.csr_matrix",
    "sklearn.compose._column_transformer._RemainderColsList",  # of scikit-learn 1.6
    "sklearn.utils._bunch.Bunch",
]


def save(estimator, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator or Pipeline to a skops file.

    Parameters
    ----------
    estimator : estimator
        Estimator of this package or of scikit-learn, for example a Pipeline.
    path : str or path-like
        File to write. An existing file is replaced.

    Raises
    ------
    TypeError
        If skops cannot store ``estimator``, or :func:`load` could not read the file.

    See Also
    --------
    load : Reads the file.

    Notes
    -----
    Functions, such as a custom ``encoder``, are stored by name only, so lambdas are refused. A
    file is for the minor version of the package that wrote it.

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
            f"save() takes an estimator and a path, but got a {type(estimator).__name__}."
        )
    import skops.io

    try:
        content = skops.io.dumps(estimator)
        skops.io.loads(content, skops.io.get_untrusted_types(data=content))
    except Exception as error:
        raise TypeError(
            f"load() could not read the file: {error}. Define functions by a name at the "
            "top of a module, and kinds by columns, not by groups of them."
        ) from error

    file = BytesIO(content)
    with ZipFile(file, "a") as archive:
        archive.writestr(VERSION_PART, PACKAGE.__version__)
    Path(path).write_bytes(file.getvalue())


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
        If the file was not written by :func:`save` of this minor version, or is damaged.
    TypeError
        If the file contains types that are not trusted. The error names them.

    See Also
    --------
    save : Writes the file, with an example.
    """
    import skops.io

    _check_version(path)
    try:
        estimator = skops.io.load(path, trusted=[*TRUSTED, *trusted])
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


def _check_version(path):
    """Raise ValueError if another minor version of the package wrote a file."""
    try:
        with ZipFile(path) as archive:
            written = ""
            if VERSION_PART in archive.namelist():
                written = archive.read(VERSION_PART).decode()
    except BadZipFile as error:
        raise ValueError(
            f"{path} cannot be read as a file of save(): BadZipFile: {error}"
        ) from error
    current = PACKAGE.__version__
    if written.split(".")[:2] != current.split(".")[:2]:
        raise ValueError(
            f"{path} was saved by version {written or '0.2.0 or earlier'} of skdeepcluster, and "
            f"this is version {current}. Fit again with this version, or load the file with that "
            "one."
        )

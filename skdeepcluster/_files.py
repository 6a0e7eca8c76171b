"""Files of arrays in the safetensors format, and writing that leaves no part of a file."""

import errno
import hashlib
import importlib
import json
import os
import secrets
import shutil
from contextlib import contextmanager, suppress

import numpy as np

#: Longest header, in bytes; histories and names take about 100 bytes a record.
MAX_HEADER = 2**23
#: Most arrays of a file.
MAX_ARRAYS = 2**14
#: Most values of a text of JSON, by its brackets and commas: they take up to 100 bytes each.
MAX_VALUES = 2**19
#: Names of the dtypes that are stored.
DTYPES = {
    "BOOL": np.dtype("?"),
    **{f"{kind.upper()}{8 * n}": np.dtype(f"<{kind}{n}") for kind in "iu" for n in (1, 2, 4, 8)},
    **{f"F{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
}


def write_arrays(path, arrays, metadata):
    """Write a dict of arrays, whose dtypes are of :data:`DTYPES`, and a dict of texts.

    Raises
    ------
    OSError
        When the disk does not take the file; an existing one is left as it was.
    ValueError
        When there are more arrays or texts than :func:`read_arrays` takes.
    ImportError
        When safetensors is not installed.
    """
    safetensors = _import_safetensors()
    _check_sizes(len(json.dumps(metadata)) + 200 * len(arrays), len(arrays))
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with replace_atomically(path) as temporary:
        try:
            importlib.import_module("safetensors.numpy").save_file(ordered, temporary, metadata)
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error


def read_arrays(path):
    """Return the arrays and the texts of a safetensors file.

    Raises
    ------
    ValueError
        When it is no whole safetensors file, or has a header or arrays beyond measure.
    ImportError
        When safetensors is not installed.
    """
    safetensors = _import_safetensors()
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        _check_sizes(length, file.read(min(length, MAX_HEADER)).count(b"data_offsets"))
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            # The file is no dict.
            return {n: file.get_tensor(n) for n in file.keys()}, file.metadata() or {}  # noqa:
            SIM118
    except (safetensors.SafetensorError, AttributeError, OverflowError, TypeError) as error:
        raise ValueError(str(error)) from error


def _import_safetensors():
    try:
        return importlib.import_module("safetensors")
    except ImportError as error:
        raise ImportError(
            "Files of estimators and checkpoints need safetensors: pip install safetensors."
        ) from error


def _check_sizes(header, n_arrays):
    if header > MAX_HEADER or n_arrays > MAX_ARRAYS:
        raise ValueError(
            f"its header has {header} bytes for {n_arrays} arrays, where {MAX_HEADER} and "
            f"{MAX_ARRAYS} are the most"
        )


def hash_content(text, arrays):
    """Return the SHA-256 of a text and of all arrays with their names, in hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def parse_json(text):
    """Return the content of JSON; a ValueError tells of what is malformed, nested or long."""
    n_values = sum(map(text.count, "[{,"))
    if n_values > MAX_VALUES:
        raise ValueError(f"its JSON has {n_values} values, where {MAX_VALUES} are the most")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


@contextmanager
def replace_atomically(path):
    """Yield the name of a new file beside ``path``, which takes its place when the block ends.

    If the block raises, the new file is removed; whatever ends the process, ``path`` is the old
    file or the whole new one, on the disk too. A symbolic link stays one, and a file that is
    replaced keeps its permissions.

    Parameters
    ----------
    path : str or path-like
        File to write.

    Yields
    ------
    str
        An empty file in the same folder, named ``.<16 hexadecimal digits>.tmp``.

    Raises
    ------
    OSError
        When the folder does not exist or does not allow it, or the disk is full.
    """
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        reason = "No such folder, make it first"
        raise FileNotFoundError(errno.ENOENT, reason, folder)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "A folder, not the name of a file", path)
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    with open(temporary, "xb"):
        pass
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.remove(temporary)
        raise

"""Files of arrays in the safetensors format, and writing that leaves no part of a file.

A safetensors file is the length of its header, 8 bytes, little endian; the header, JSON with the
dtype, the shape and the place of each array, and texts by name, ``__metadata__``; the arrays.
"""

import json
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from math import prod

import numpy as np

#: Longest header, in bytes; histories and names take about 100 bytes a record.
MAX_HEADER = 2**23
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
        When the header is too large for :func:`read_arrays`.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, end = {"__metadata__": metadata}, 0
    # The widest first, so that each is aligned to its width.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        place = {"shape": list(arrays[name].shape), "data_offsets": [begin, end]}
        header[name] = {"dtype": names[arrays[name].dtype], **place}
    text = json.dumps(header)
    text += " " * (-len(text) % 8)
    _check_size(text, len(text))
    with replace_atomically(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text.encode("ascii"))
        for name in order:
            file.write(arrays[name].tobytes())


def read_arrays(path):
    """Return the arrays and the texts of a safetensors file.

    Memory is taken for what the file holds, once its header has been checked.

    Raises
    ------
    ValueError
        When it is no whole safetensors file.
    """
    with open(path, "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size - 8
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= n_bytes:
            raise ValueError(f"after 8 bytes, {length} of a header should follow, not {n_bytes}")
        if length > MAX_HEADER:
            raise ValueError(f"the header has {length} bytes, more than {MAX_HEADER}")
        header = parse_json(file.read(length).decode("ascii"))
        if not isinstance(header, dict):
            raise ValueError("the header is no dict")
        metadata = header.pop("__metadata__", {})
        is_text = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
        if not is_text:
            raise ValueError("__metadata__ is no dict of texts")
        places = {name: _check_place(name, place) for name, place in header.items()}
        _check_order(places, n_bytes - length)
        arrays = {}
        for name, (dtype, shape, _, _) in sorted(places.items(), key=lambda item: item[1][2]):
            arrays[name] = np.empty(shape, dtype)
            file.readinto(arrays[name].reshape(-1).view(np.uint8))
    return arrays, metadata


def parse_json(text):
    """Return the content of JSON; a ValueError tells of what is malformed, nested or long."""
    _check_size(text, len(text))
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def _check_size(text, length):
    n_values = sum(map(text.count, "[{,"))
    if length > MAX_HEADER or n_values > MAX_VALUES:
        raise ValueError(
            f"the header has {length} bytes with {n_values} values, where {MAX_HEADER} and "
            f"{MAX_VALUES} are the most"
        )


def _check_place(name, place):
    """Return dtype, shape, begin and end of an array, checked by itself."""
    if not isinstance(place, dict) or set(place) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r:.99} has not dtype, shape and data_offsets")
    dtype, shape, span = place["dtype"], place["shape"], place["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name!r:.99} has the unknown dtype {dtype!r:.99}")
    for numbers in (shape, span):
        if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"{name!r:.99} has not shape and data_offsets of whole numbers")
    if len(span) != 2 or len(shape) > 32 or max(shape, default=0) > 2**62:
        raise ValueError(f"{name!r:.99} has an impossible shape or data_offsets")
    if span[1] - span[0] != prod(shape) * DTYPES[dtype].itemsize:
        raise ValueError(f"{name!r:.99} of shape {shape!r:.99} has not the bytes {span!r:.99}")
    return DTYPES[dtype], tuple(shape), *span


def _check_order(places, n_bytes):
    """Check that arrays follow each other and fill the file."""
    end = 0
    for begin, stop in sorted(span for _, _, *span in places.values()):
        if begin != end:
            raise ValueError(f"arrays end at byte {end} and begin at {begin}")
        end = stop
    if end != n_bytes:
        raise ValueError(f"the arrays have {end} bytes, but {n_bytes} follow the header")


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
    temporary = os.path.join(os.path.dirname(path), f".{secrets.token_hex(8)}.tmp")
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

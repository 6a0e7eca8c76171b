"""Writing that leaves either the old file or the whole new one."""

import os
import secrets
import shutil
from contextlib import contextmanager, suppress


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

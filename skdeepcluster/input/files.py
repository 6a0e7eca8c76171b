"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_native_id
from typing import IO, Any


def check_regular(path: str) -> None:
    """Raise OSError if there is something else than a regular file, or no folder."""
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"There is no folder {folder}. Make it, or give another name."
        )
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path} exists and is no regular file. Give another name.")


@contextmanager
def replace_atomically(path: Any) -> Iterator[IO[bytes]]:
    """Yield a new binary file that replaces ``path`` if the block completes."""
    path = os.path.realpath(path)
    check_regular(path)
    # Each thread of each process has its own, because several may write one file.
    temporary = Path(f"{path}.{get_native_id()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError):
            error.filename = error.filename or path
        temporary.unlink(missing_ok=True)
        raise

"""A file that is being written is the old one or the new one, never a part."""

import os
import signal
import subprocess
import sys

import pytest

from skdeepcluster._files import replace_atomically


def test_a_block_that_succeeds_replaces_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    (tmp_path / "link").symlink_to(path)
    with replace_atomically(tmp_path / "link") as temporary:
        assert os.path.dirname(temporary) == str(tmp_path)
        with open(temporary, "w") as file:
            file.write("new")
        assert path.read_text() == "old"
    assert path.read_text() == (tmp_path / "link").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_block_that_fails_leaves_the_old_file_alone(error, tmp_path):
    (tmp_path / "a").write_text("old")

    def write():
        with replace_atomically(tmp_path / "a") as temporary:
            with open(temporary, "w") as file:
                file.write("new")
            raise error

    with pytest.raises(type(error)):
        write()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError), replace_atomically(tmp_path / "none" / "a"):
        pass


def test_a_process_that_is_killed_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    text = """
import os, runpy, signal, sys
with runpy.run_path(sys.argv[2])["replace_atomically"](sys.argv[1]) as temporary:
    open(temporary, "w").write("new")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    module = sys.modules["skdeepcluster._files"].__file__
    command = [sys.executable, "-c", text, str(tmp_path / "a"), module]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "a").read_text() == "old"

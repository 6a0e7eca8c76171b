"""Type checkers know the return types of public functions."""

import inspect
from importlib.resources import files
from pathlib import Path

import pytest
from mypy import api
from test_architecture import public_objects

import skdeepcluster

USER = Path(__file__).parents[1] / "fixtures" / "typed_user.py"


def functions_of(thing):
    """Yield a public function, or the public methods and __init__ of a class."""
    if inspect.isfunction(thing):
        yield thing
        return
    for name, member in vars(thing).items():
        member = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if callable(member) and (name == "__init__" or not name.startswith("_")):
            yield inspect.unwrap(member)


@pytest.mark.parametrize("thing", list(public_objects()))
def test_public_functions_have_return_types(thing):
    for function in functions_of(thing):
        assert "return" in getattr(function, "__annotations__", {"return": None}), function


def test_the_package_is_marked_as_typed():
    assert (files(skdeepcluster) / "py.typed").is_file()


@pytest.mark.full
def test_mypy_accepts_a_users_code(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(Path(skdeepcluster.__file__).parents[1]))
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    config = ["--config-file=", f"--cache-dir={tmp_path}"]
    text, errors, status = api.run([*options, *config, str(USER)])
    assert not status, text + errors

"""Type checkers know what every public function gives."""

import inspect
from importlib.resources import files
from pathlib import Path

import pytest
from mypy import api
from test_architecture import public_objects

import skdeepcluster

USER = Path(__file__).parents[1] / "fixtures" / "typed_user.py"


def functions_of(thing):
    """Yield a public function, or the public methods that a class defines and its __init__."""
    if inspect.isfunction(thing):
        yield thing
        return
    for name, member in vars(thing).items():
        member = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if callable(member) and (name == "__init__" or not name.startswith("_")):
            yield inspect.unwrap(member)


@pytest.mark.parametrize("thing", list(public_objects()))
def test_public_functions_say_what_they_return(thing):
    for function in functions_of(thing):
        assert "return" in getattr(function, "__annotations__", {"return": None}), function


def test_the_package_says_that_it_has_types():
    assert (files(skdeepcluster) / "py.typed").is_file()


@pytest.mark.full
def test_a_strict_type_checker_takes_the_code_of_a_user(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(Path(skdeepcluster.__file__).parents[1]))
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    config = ["--config-file=", f"--cache-dir={tmp_path}"]
    text, errors, status = api.run([*options, *config, str(USER)])
    assert not status, text + errors

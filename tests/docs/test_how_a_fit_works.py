"""The page "How a fit works" shows the calls of real fits."""

import os
import re
import sys
from pathlib import Path

import pytest

import skdeepcluster

PACKAGE = Path(skdeepcluster.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "how_a_fit_works.md"
SMALL = {
    "VaDEClustering": {
        "hidden_layer_sizes": (8,),
        "max_epochs": 1,
        "pretraining_epochs": 1,
    },
    "GaussianMixtureEM": {},
}


def name_function(code):
    """Return the file and the name of a function of the package, or None."""
    is_named = not code.co_name.startswith("<")
    if not is_named or not code.co_filename.startswith(f"{PACKAGE}{os.sep}"):
        return None
    path = Path(code.co_filename).relative_to(PACKAGE)
    return f"{path.as_posix()}: {code.co_qualname}"


def list_calls(estimator, X):
    """Return the pairs of functions of the package, caller and called, of a fit."""
    names = {}
    stack = [None]
    pairs = set()

    def follow(frame, event, _):
        code = frame.f_code
        if code not in names:
            names[code] = name_function(code)
        if names[code] is None:
            return
        if event == "call":
            pairs.add((stack[-1], names[code]))
            stack.append(names[code])
        elif event == "return":
            stack.pop()

    sys.setprofile(follow)
    try:
        estimator.fit(X)
    finally:
        sys.setprofile(None)
    return pairs


def read_calls(name):
    """Return the pairs of functions, caller and called, that the page shows."""
    text = PAGE.read_text()
    block = re.search(rf"<!-- calls of {name} -->\n```text\n(.*?)```", text, re.DOTALL)[1]
    callers = [None]
    pairs = []
    for line in block.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        called = re.split(r"\s{2,}", line.strip())[0]
        callers[depth + 1 :] = [called]
        pairs.append((callers[depth], called))
    return pairs


@pytest.mark.parametrize("name", SMALL)
def test_the_page_shows_the_calls_of_a_fit(name, blobs):
    estimator = getattr(skdeepcluster, name)(3, random_state=0, **SMALL[name])
    calls = list_calls(estimator, blobs[0])
    missing = [pair for pair in read_calls(name) if pair not in calls]
    assert not missing

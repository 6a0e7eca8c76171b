"""The page "How a fit works" shows the calls of real fits."""

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


def list_calls(estimator, X):
    """Return the pairs of functions of the package, caller and called, of a fit."""
    stack = [None]
    pairs = set()

    def follow(frame, event, _):
        path = Path(frame.f_code.co_filename)
        name = frame.f_code.co_qualname
        if not path.is_relative_to(PACKAGE) or name.endswith(">"):
            return
        if event == "call":
            called = f"{path.relative_to(PACKAGE).as_posix()}: {name}"
            pairs.add((stack[-1], called))
            stack.append(called)
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
    missing = [pair for pair in read_calls(name) if pair not in list_calls(estimator, blobs[0])]
    assert not missing

"""Every Python block of the README, "Start here" and the guide runs, in a folder of its own."""

import re
import warnings
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
from estimators import briefly, in_full
from sklearn.exceptions import ConvergenceWarning

import skdeepcluster

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "start.md",
    *sorted((ROOT / "docs" / "guide").glob("*.md")),
]


def find_blocks(page):
    """Return the Python blocks of a page; those of "Start here" go on with the first one."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return ["\n".join(blocks)] if page.stem == "start" else blocks


BLOCKS = [pytest.param(block, id=page.stem) for page in PAGES for block in find_blocks(page)]
#: Words of a block -> the optional package that it needs.
NEEDS = {"bertopic": "bertopic", "scanpy": "scanpy", "dask": "dask", "to_onnx": "onnxscript"}


@pytest.mark.parametrize("pace", [briefly, *in_full(nullcontext)], ids=lambda pace: pace.__name__)
@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs(block, pace, tmp_path, monkeypatch):
    absent = [name for word, name in NEEDS.items() if word in block and not find_spec(name)]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    monkeypatch.chdir(tmp_path)
    with pace(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # short training may lose clusters
        exec(compile(block, "example", "exec"), {"__name__": "example"})


def test_the_page_is_short_and_cites_this_version():
    assert len(README.splitlines()) <= 170
    assert f"version = {{{skdeepcluster.__version__}}}" in README


def test_links_lead_to_files():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert len(links) > 1
    assert all((ROOT / link).exists() for link in links)

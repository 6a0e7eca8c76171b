"""Every Python block of the README runs, in a folder of its own."""

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
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
#: Packages that examples use and that tests do not install.
CONSUMERS = {"bertopic", "scanpy"}


@pytest.mark.parametrize("pace", [briefly, *in_full(nullcontext)], ids=lambda pace: pace.__name__)
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_block_runs(block, pace, tmp_path, monkeypatch):
    imported = set(re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE))
    absent = sorted(name for name in imported & CONSUMERS if not find_spec(name))
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    monkeypatch.chdir(tmp_path)
    with pace(), warnings.catch_warnings():
        if pace is briefly:  # short training may lose clusters
            warnings.simplefilter("ignore", ConvergenceWarning)
        exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_the_page_is_short_and_cites_this_version():
    assert len(BLOCKS) >= 4
    assert len(README.splitlines()) <= 400
    assert f"version = {{{skdeepcluster.__version__}}}" in README


def test_links_lead_to_files():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert len(links) > 1
    assert all((ROOT / link).exists() for link in links)

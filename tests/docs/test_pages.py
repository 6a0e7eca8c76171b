"""Every Python block of the README, "Start here", guide and methods runs, in its own folder.

A block that begins with "py" in place of "python" is not run: its package warns of itself.

Those of the guide and the methods take minutes and belong to the full tier.
"""

import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from common import briefly
from sklearn.exceptions import ConvergenceWarning

import skdeepcluster

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIRST_PAGES = [ROOT / "README.md", ROOT / "docs" / "start.md"]
GUIDE = sorted((ROOT / "docs").glob("guide/*.md")) + sorted((ROOT / "docs").glob("methods/*.md"))


def find_blocks(page):
    """Return the Python blocks of a page.

    A block without imports goes on with the one before, and all blocks of some pages do.
    """
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    if page.stem in ("README", "start", "tables", "networks"):
        return ["\n".join(blocks)]
    whole = []
    for block in blocks:
        if whole and not re.search(r"^(?:from|import) ", block, re.MULTILINE):
            whole[-1] += "\n" + block
        else:
            whole.append(block)
    return whole


def name_blocks(pages):
    """Return a parameter for each block of the pages."""
    return [pytest.param(block, id=page.stem) for page in pages for block in find_blocks(page)]


#: Words of a block -> the optional package that it needs.
NEEDS = {
    "ISLP": "ISLP",
    "bertopic": "bertopic",
    "datamapplot": "datamapplot",
    "toponymy": "toponymy",
    "scanpy": "scanpy",
    "dask": "dask",
    "optuna": "optuna",
    "from transformers": "transformers",
    "open_clip": "open_clip",
    "sentence_transformers": "sentence_transformers",
    "skrub": "skrub",
}


def run(block, folder, monkeypatch):
    """Run a block in a folder, or skip the test for want of a package."""
    absent = [name for word, name in NEEDS.items() if word in block and not find_spec(name)]
    if absent:
        pytest.skip(f"needs {', '.join(absent)}")
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # short training may lose clusters
        exec(compile(block, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("block", name_blocks(FIRST_PAGES))
def test_block_runs_briefly(block, tmp_path, monkeypatch):
    with briefly():
        run(block, tmp_path, monkeypatch)


@pytest.mark.full
@pytest.mark.parametrize("block", name_blocks(FIRST_PAGES + GUIDE))
def test_block_runs(block, tmp_path, monkeypatch):
    run(block, tmp_path, monkeypatch)


def test_the_page_is_short_and_cites_this_version():
    assert len(README.splitlines()) <= 110
    assert f"version = {{{skdeepcluster.__version__}}}" in README


def test_links_lead_to_files():
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)", README)
    assert len(links) > 1
    assert all((ROOT / link).exists() for link in links)


def test_every_page_of_the_guide_has_a_line_in_its_index():
    index = (ROOT / "docs" / "guide" / "index.md").read_text()
    pages = {path.name for path in GUIDE if path.parent.name == "guide"} - {"index.md"}
    assert pages == set(re.findall(r"^- \[.+\]\((\w+\.md)\): \w", index, re.MULTILINE))

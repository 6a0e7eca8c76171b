"""The tables of the pages are what the result files say."""

import json
import re

import pytest
from lib import tables

#: Pages with tables, and the page that names their most important numbers.
LINKED = (tables.ROOT / "benchmarks" / "RESULTS.md", *tables.PAGES)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a function that makes the cells of a table of given records."""
    monkeypatch.setattr(tables, "RESULTS", tmp_path)

    def make(spec, records, head=False):
        (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, records)))
        lines = tables.table(spec).splitlines()
        found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return found[:1] * head + found[2:]

    return make


@pytest.mark.parametrize("path", tables.PAGES, ids=lambda path: path.name)
def test_pages_show_what_the_result_files_say(path):
    text = path.read_text()
    assert tables.BLOCK.search(text)
    assert tables.filled(text) == text


def test_every_result_file_stands_on_a_page():
    shown = "".join(path.read_text() for path in tables.PAGES)
    specs = " ".join(match[1] for match in tables.BLOCK.findall(shown))
    files = {path.name for path in tables.RESULTS.glob("*.jsonl")}
    assert files == set(re.findall(r"\w+\.jsonl", specs))


@pytest.mark.parametrize("kind", ["clusterers", "how_sure"])
def test_a_fit_is_counted_once(kind):
    for path in tables.RESULTS.glob(f"{kind}*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        fits = [(line["row"], line["data"], line["seed"]) for line in lines]
        assert len(set(fits)) == len(fits), path.name


def test_commands_of_the_pages_name_scripts_that_exist():
    for path in LINKED:
        for script in re.findall(r"python (benchmarks/\S+\.py)", path.read_text()):
            assert (tables.ROOT / script).is_file(), script


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_links_between_the_pages_lead_somewhere(path):
    for file, anchor in re.findall(r"\]\(([\w./]*\.md)(?:#([\w-]+))?\)", path.read_text()):
        text = (path.parent / file).read_text()
        titles = [
            re.sub(r"[^\w -]", "", line.lower()) for line in re.findall(r"^#+ (.+)", text, re.M)
        ]
        assert not anchor or anchor in [title.replace(" ", "-") for title in titles], anchor


def test_seconds_are_of_the_processor_with_one_thread():
    base = {"data": "a", "acc": 1.0, "seconds": 2.0, "cpu_seconds": 1.0}
    records = [base | {"row": "A", "threads": 1}, base | {"row": "B", "threads": 2}]
    records += [records[0] | {"cpu_seconds": 3.0}]
    assert tables.by_set(tables.as_frame(records), "seconds").loc["a"].tolist() == [1.0, 2.0]


def test_pivot_takes_means_over_seeds_and_common_sets(made):
    records = [
        {"row": row, "data": data, "seed": seed, "acc": acc, "auc": None}
        for row, data, seed, acc in [
            ("A", "x", 0, 0.5), ("A", "x", 1, 1.0), ("B", "x", 0, 0.5), ("A", "y", 0, 0.0),
        ]
    ]  # fmt: skip
    found = made("pivot x.jsonl values=acc", records)
    assert found == [
        ["x", "0.750", "0.500"],
        ["y", "0.000", "-"],
        ["mean of 1 sets", "0.750", "0.500"],
    ]


def test_methods_are_judged_by_group(made):
    fits = [("eleven", "a", 0.5, 4), ("eleven", "b", 1.0, 9), ("battery", "c", 0.2, 5)]
    record = {"row": "HDBSCAN", "n_clusters": 4, "seconds": 1.0}
    names = "group", "data", "ari", "found"
    records = [record | dict(zip(names, fit, strict=True)) for fit in fits]
    given = records[0] | {"row": "KMeans"}
    head, *cells = made("rivals x.jsonl", [*records, given], head=True)
    assert head[1:3] == ["2 real sets", "1 shape sets"]
    assert cells == [
        ["KMeans", "0.500", "-", "-", "1.0"],
        ["HDBSCAN", "0.750", "0.200", "0.67", "1.0"],
    ]


def test_first_answers_are_counted_by_group(made):
    fits = [("a", 3, [3, 2], [1.0, 0.5]), ("b", 3, [4], [0.5]), ("c", 2, [9], [0.0])]
    names = "data", "classes", "found", "ari"
    records = [dict(zip(names, fit, strict=True)) | {"row": "A"} for fit in fits]
    groups = "eleven", "eleven", "battery"
    records = [own | {"group": group} for own, group in zip(records, groups, strict=True)]
    assert made("first_answers x.jsonl", records, head=True) == [
        ["sets", "A"],
        ["real sets (2)", "0.50 / 1.00 / 0.75"],
        ["shape sets (1)", "0.00 / 0.00 / 0.00"],
    ]


def test_a_summary_takes_means_over_seeds_and_then_over_sets(made):
    values = [("a", 0.5), ("a", 1.0), ("b", 0.25)]
    records = [{"row": "A", "data": data, "acc": acc} for data, acc in values]
    assert made('summary x.jsonl "values=acc:mean;acc:min" digits=2', records) == [
        ["A", "0.50", "0.25"]
    ]


def test_networks_stand_beside_their_initial_partitions(made):
    base = {"row": "N", "ari": 0.5, "start_ari": 0.5, "moved": 0.0, "ece": 0.0, "seconds": 1.0}
    records = [
        base | {"data": data, "acc": acc, "start_acc": 0.5, "control_acc": 0.25}
        for data, acc in [("a", 0.75), ("a", 1.0), ("b", 0.25)]
    ]
    (cells,) = made("earned x.jsonl", records)
    assert cells[:5] == ["N", "2", "0.500", "0.562", "0.250"]
    assert cells[7:9] == ["-0.250 (b)", "+0.375 (a)"]

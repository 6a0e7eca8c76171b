"""The tables of the pages are what the result files say."""

import json

import pytest
from lib import standings, tables

TEXTS = "embedded texts, 12,000 to 20,000"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write records to a results file that tables are made from."""
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(tables, "HERE", tmp_path)

    def write(name, lines):
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "results" / f"{name}.jsonl").write_text(text)

    return write


def table(kind, files="x.jsonl"):
    """Lines of a table."""
    page = f"<!-- table: {kind} {files} -->\n<!-- end of table -->\n"
    return tables.filled(page).splitlines()[1:-1]


def test_tables_of_the_pages_are_those_of_the_result_files():
    text = tables.README.read_text()
    assert tables.BLOCK.search(text)
    assert tables.filled(text) == text
    assert tables.RESULTS.read_text() == tables.results_page()


def test_every_result_file_stands_on_the_page():
    shown = {name for entry in tables.listed()["table"] for name in entry["files"]}
    assert shown == {path.name for path in (tables.HERE / "results").glob("*.jsonl")}


@pytest.mark.parametrize("kind", ["clusterers", "how_sure"])
def test_a_fit_is_counted_once(kind):
    for path in (tables.HERE / "results").glob(f"{kind}*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        fits = [(line["row"], line["data"], line["seed"]) for line in lines]
        assert len(set(fits)) == len(fits), path.name


def test_a_consensus_stands_beside_its_fits_and_their_starts_by_set(write):
    lines = [{"row": "A, start", "seed": seed, "acc": acc} for seed, acc in enumerate([0.5, 0.25])]
    lines += [{"row": "A", "seed": seed, "acc": acc} for seed, acc in [(1, 0.375), (0, 0.75)]]
    lines += [
        {"row": f"{row}, ensemble ({name})", "acc": acc, "diversity": 0.125}
        for row in ("A", "all")
        for name, acc in [("soft_vote", 0.5), ("co_association", 0.75)]
    ]
    lines = [line | {"data": "wine"} for line in [*lines, {"row": "B", "seed": 0, "acc": 0.5}]]
    all_of_one = [line | {"data": "iris"} for line in lines if line["row"].startswith("A")]
    write("x", [*lines, *all_of_one])
    line = "A | 2 | 0.375 | 0.562 | 0.375 | 0.750 | 0.500 | 0.750 | 0.125 |"
    assert table("consensus")[2:] == [
        f"| wine | {line}",
        "| wine | all |  |  |  |  |  | 0.500 | 0.750 | 0.125 |",
        f"| iris | {line}",
    ]


def test_pages_that_are_filled_stay_as_they_are(write):
    write("x", [{"row": "A", "acc": 0.5}, {"row": "B", "acc": 0.25}])
    page = "a\n<!-- table: each x.jsonl -->\nold\n<!-- end of table -->\nb\n"
    filled = tables.filled(page)
    assert filled.splitlines()[4:6] == ["| A | 0.5 |", "| B | 0.25 |"]
    assert filled.splitlines()[-1] == "b"
    assert tables.filled(filled) == filled


def test_groups_are_means_over_their_sets_and_show_where_a_method_loses_most(write):
    sets = [name for group in standings.GROUPS.values() for name in group]
    base = {"ari": 0.25, "seconds": 2.0, "seed": 0}
    lines = [base | {"row": "KMeans", "data": name, "acc": 0.5} for name in sets]
    gains = {name: 0.25 for name in sets} | {"wine": -0.125}
    write("x", lines)
    lines = [base | {"row": "A", "data": name, "acc": 0.5 + gains[name]} for name in sets]
    lines += [base | {"row": "B", "data": name, "acc": 1.0} for name in standings.GROUPS[TEXTS]]
    write("y", [*lines, base | {"row": "start", "data": "iris", "acc": 1.0}])
    first, second, third = (line.split(" | ") for line in table("groups", "x.jsonl y.jsonl")[2:])
    assert first[0] == "| A"
    assert first[1:3] == ["0.625, 2.0", "0.750, 2.0"]
    assert first[5:] == ["0.716, 0.250, 2.0", "-0.125", "wine |"]
    assert second[0] == "| KMeans"
    assert third[:5] == ["| B", "-", "-", "-", "1.000, 2.0"]


def test_errors_stand_by_classifier_and_number_of_labels(write):
    lines = [
        {"row": "A", "labels": labels, "draw": draw, "error": error, "seconds": 2.4}
        for labels, draw, error in [(100, 1, 0.25), (100, 0, 0.125), (100, 2, 0.5), (50, 0, 0.75)]
    ]
    write("x", lines)
    assert table("errors")[2:] == [
        "| A | 50 | 1 | 0.7500 | 0.7500 | 0.7500 | 0.7500 | 2 |",
        "| A | 100 | 3 | 0.2500 | 0.1250 | 0.5000 | 0.1250 0.2500 0.5000 | 2 |",
    ]


def test_papers_have_a_line_for_how_far_a_run_has_come(write):
    told = {"published": "ACC .9", "chosen": "The rate.", "epochs": 3, "seconds": 5400}
    line = {"row": "A", "seed": 1, "epoch": 1, "acc": 0.5, "error": 0.25} | told
    write("x", [line, line | {"epoch": 2, "acc": 0.6}, line | {"seed": 0, "epoch": 3}])
    assert table("papers")[2:] == [
        "| A | 1 | 2 of 3 | acc 0.6, error 0.25 | ACC .9 | The rate. | 1.5 |",
        "| A | 0 | 3 of 3 | acc 0.5, error 0.25 | ACC .9 | The rate. | 1.5 |",
    ]


def test_a_table_of_every_record_leaves_out_what_is_the_same_in_all(write):
    same = {"threads": 2, "settings": {"a": 1, "b": [0.25, 3]}}
    lines = [{"row": "A", "seed": 0, "rows_per_second": 12345.6, "ratios": [1.03, 0.98765]} | same]
    lines += [lines[0] | {"seed": 1, "rows_per_second": None, "settings": {"a": 2}}]
    write("x", lines)
    assert table("each") == [
        "| seed | rows per second | settings |",
        "|---|---|---|",
        "| 0 | 12346 | a=1, b=0.25 3 |",
        "| 1 |  | a=2 |",
    ]
    write("x", [{"row": "A", "seed": 3, "commit": "abc"}])
    assert table("each") == ["| row | seed |", "|---|---|", "| A | 3 |"]

"""Write RESULTS.md, and the tables of README.md, from the files in ``benchmarks/results``.

``python benchmarks/lib/tables.py`` writes benchmarks/RESULTS.md anew: the tables that
``results/tables.toml`` lists, each with its command and a sentence, then ``results/notes.md``. In
README.md it fills every block between ``<!-- table: KIND FILE ... -->`` and
``<!-- end of table -->``, and those between ``<!-- text: NAME -->`` and ``<!-- end of text -->``
with the text of that name in tables.toml, and changes nothing else. Texts have fields for figures,
see `figures`. Kinds of tables:

- "consensus": a line for each method and set, single fits beside their consensus, medians of ACC;
- "errors": a line for each classifier, over its draws of labels;
- "standings": of many methods on many sets, see `standings.tables`;
- "groups": a line for each method, means over kinds of sets, see `standings.groups`;
- "papers": a line for each of the papers' experiments;
- "numbers": a line for each method, how often its number of clusters is right;
- "earned": a line for each network, its start and a control, see `earnings`;
- "calibration", "outliers", "stability": how sure clusters are, see `certainty`;
- "each": every record, without entries that are the same in all; of a single one all.

FILE holds the JSON lines that ``--results`` of the scripts has appended.
"""

import argparse
import json
import re
import sys
import tomllib
from itertools import pairwise, product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib import earnings, figures
from lib.certainty import PARTS
from lib.counts import COLUMNS, lines
from lib.standings import GROUP_COLUMNS, tables
from lib.standings import groups as grouped

HERE = Path(__file__).resolve().parents[1]
README, RESULTS = HERE.parent / "README.md", HERE / "RESULTS.md"
#: Entries of records that tables of every record leave out.
CONDITIONS = "commit", "processor", "versions"
CONSENSUS = "soft_vote", "co_association"
BLOCK = re.compile(r"(<!-- table: (\w+) (\S[^>]*) -->\n).*?(<!-- end of table -->)", re.DOTALL)
TEXT = re.compile(r"(<!-- text: (\w+) -->\n).*?(<!-- end of text -->)", re.DOTALL)


def listed():
    """Return what tables.toml says."""
    path = HERE / "results" / "tables.toml"
    return tomllib.loads(path.read_text()) if path.exists() else {}


def records(name):
    """Return the records of a results file, by row, in the order of the file."""
    rows = {}
    for line in (HERE / "results" / name).read_text().splitlines():
        record = json.loads(line)
        rows.setdefault(record["row"], []).append(record)
    return rows


def head(columns):
    """Yield the first two lines of a table."""
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"


def errors(rows):
    """Yield the lines of a table of test errors over draws of labels."""
    columns = ["row", "labels", "draws", "test error median", "min", "max", "errors", "seconds"]
    yield from head(columns)
    for row, found in rows.items():
        for n_labels in sorted({r["labels"] for r in found}):
            drawn = sorted((r for r in found if r["labels"] == n_labels), key=lambda r: r["draw"])
            error = [r["error"] for r in drawn]
            cells = [
                row,
                str(n_labels),
                str(len(error)),
                *(f"{value:.4f}" for value in (np.median(error), min(error), max(error))),
                " ".join(f"{value:.4f}" for value in error),
                f"{np.median([r['seconds'] for r in drawn]):.0f}",
            ]
            yield f"| {' | '.join(cells)} |"


def consensus(rows):
    """Yield the lines of a table of single fits beside their consensus, by set."""
    columns = "method", "fits", "start", "median", "least", "most", *CONSENSUS, "diversity"
    yield from head(["data", *(name.replace("_", " ") for name in columns)])
    recorded = [record for found in rows.values() for record in found]
    sets = dict.fromkeys(record["data"] for record in recorded)
    methods = dict.fromkeys(row.partition(",")[0] for row in rows)
    for name, method in product(sets, methods):
        of_set = {row: [r for r in found if r["data"] == name] for row, found in rows.items()}
        both = [of_set.get(f"{method}, ensemble ({kind})") for kind in CONSENSUS]
        if all(both):
            starts, fits = of_set.get(f"{method}, start", []), of_set.get(method, [])
            values = [_reduce(np.median, starts)]
            values += [_reduce(reduce, fits) for reduce in (np.median, min, max)]
            values += [_reduce(max, found) for found in both]
            cells = [name, method, str(len(fits) or ""), *values, f"{both[0][0]['diversity']:.3f}"]
            yield f"| {' | '.join(cells)} |"


def _reduce(reduce, found):
    return f"{reduce([record['acc'] for record in found]):.3f}" if found else ""


def plain(value):
    """Text of an entry of a record, numbers with four digits."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return " ".join(map(plain, value))
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "" if value is None else str(value)


def each(rows):
    """Yield the lines of a table of all records with what differs between them, or of one."""
    fits = [record for found in rows.values() for record in found]
    texts = [
        {name: plain(value) for name, value in record.items() if name not in CONDITIONS}
        for record in fits
    ]
    values = {name: {text.get(name) for text in texts} for name in texts[0]}
    columns = [name for name, found in values.items() if len(found) > 1 or len(texts) == 1]
    yield from head([name.replace("_", " ") for name in columns])
    for text in texts:
        yield f"| {' | '.join(text.get(name, '') for name in columns)} |"


def papers(rows):
    """Yield the lines of a table of the papers' experiments: how far each has come."""
    yield from head(["experiment", "seed", "epochs", "result", "published", "chosen", "hours"])
    for row, found in rows.items():
        for seed in dict.fromkeys(record["seed"] for record in found):
            curve = [record for record in found if record["seed"] == seed]
            r, seconds = curve[-1], [record["seconds"] for record in curve]
            # A run that goes on counts its seconds from 0.
            before = sum(first for first, second in pairwise(seconds) if second < first)
            results = [f"{name} {r[name]:.4g}" for name in ("acc", "error", "bound") if name in r]
            cells = [row, str(r["seed"]), f"{r['epoch']} of {r['epochs']}", ", ".join(results)]
            cells += [r["published"], r["chosen"], f"{(before + seconds[-1]) / 3600:.1f}"]
            yield f"| {' | '.join(cells)} |"


def numbers(rows):
    """Yield the table of numbers of clusters."""
    yield from head(COLUMNS)
    for cells in lines([record for records in rows.values() for record in records]):
        yield f"| {' | '.join(cells)} |"


def earned(rows):
    """Yield the table of what networks add to their starts."""
    yield from head(earnings.COLUMNS)
    for cells in earnings.lines([record for found in rows.values() for record in found]):
        yield f"| {' | '.join(cells)} |"


def certainty(rows):
    """Yield the table of what `how_sure.py` measured."""
    found = [record for records in rows.values() for record in records]
    columns, cells = PARTS[found[0]["part"]](found)
    yield from head(columns)
    for line in cells:
        yield f"| {' | '.join(line)} |"


def standings(rows):
    """Yield the tables of many methods on many sets."""
    yield from ["```text", tables([record for found in rows.values() for record in found]), "```"]


def groups(*files):
    """Yield the table of methods by kind of data."""
    yield from head(GROUP_COLUMNS)
    records = [record for rows in files for found in rows.values() for record in found]
    for cells in grouped(records):
        yield f"| {' | '.join(cells)} |"


KINDS = {
    "consensus": consensus,
    "errors": errors,
    "standings": standings,
    "groups": groups,
    "papers": papers,
    "numbers": numbers,
    "earned": earned,
    **dict.fromkeys(PARTS, certainty),
    "each": each,
}


def table(kind, files):
    """Return the text of a table."""
    return "\n".join(KINDS[kind](*map(records, files)))


def filled(text):
    """Return the text with all its tables and texts made anew."""

    def made(match):
        start, kind, names, end = match.groups()
        return f"{start}{table(kind, names.split())}\n{end}"

    def written(match):
        start, name, end = match.groups()
        return f"{start}{figures.filled(listed()['texts'][name].strip(), records)}\n{end}"

    return TEXT.sub(written, BLOCK.sub(made, text))


def results_page():
    """Return the text of RESULTS.md."""
    parts = [f"# Results\n\n{listed()['introduction'].strip()}\n"]
    for entry in listed()["table"]:
        if "section" in entry:
            parts.append(f"## {entry['section']}\n")
        files = ", ".join(f"`{name}`" for name in entry["files"])
        text = figures.filled(entry["text"], records)
        parts.append(f"### {entry['title']}\n\n{text} ({files})\n")
        if "command" in entry:
            parts.append(f"```bash\n{entry['command'].strip()}\n```\n")
        parts.append(table(entry["kind"], entry["files"]) + "\n")
        for path, words in entry.get("pictures", {}).items():
            parts.append(f"![{words}]({path})\n")
    return "\n".join([*parts, (HERE / "results" / "notes.md").read_text()])


def main():
    """Write both pages."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    README.write_text(filled(README.read_text()))
    RESULTS.write_text(results_page())
    print(f"{RESULTS.name}: {len(listed()['table'])} tables")


if __name__ == "__main__":
    sys.exit(main())

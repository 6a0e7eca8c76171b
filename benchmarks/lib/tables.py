"""Write the tables of the READMEs from the files in ``benchmarks/results``.

``python benchmarks/lib/tables.py`` fills every block of README.md and benchmarks/README.md between
``<!-- table: KIND FILE ... -->`` and ``<!-- end of table -->``. KIND is "spread" (a line for each
row, over its seeds), "seeds" (a line for each fit), "errors" (a line for each classifier, over its
draws of labels), "codes" (what the codes of each fit of an InfoGAN stand for), "each" (every
record, without entries that are the same in all) or "overview" (a line for each method, a column
for each file); FILE lies in ``benchmarks/results`` and holds the
JSON lines that ``--results`` of the benchmarks has appended. Nothing else in the files changes.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

HERE = Path(__file__).resolve().parents[1]
PAGES = HERE.parent / "README.md", HERE / "README.md"
#: What two codes of an InfoGAN are compared with.
SHAPES = "slant", "ink"
BLOCK = re.compile(r"(<!-- table: (\w+) (\S[^>]*) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def records(name):
    """Return the records of a results file, by row, in the order of the file."""
    rows = {}
    for line in (HERE / "results" / name).read_text().splitlines():
        record = json.loads(line)
        rows.setdefault(record["row"], []).append(record)
    return rows


def spread(rows):
    """Yield the lines of a table over seeds."""
    yield "| row | fits | ACC median | min | max | mean, std | NMI | ARI | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row, found in rows.items():
        acc, nmi, ari = (np.array([r[key] for r in found]) for key in ("acc", "nmi", "ari"))
        seconds = [r["seconds"] for r in found if r.get("seconds")]
        cells = [
            row,
            str(len(found)),
            *(f"{value:.4f}" for value in (np.median(acc), acc.min(), acc.max())),
            f"{acc.mean():.4f}, {acc.std():.4f}",
            *(f"{np.median(values):.3f}" for values in (nmi, ari)),
            f"{np.median(seconds):.0f}" if seconds else "",
        ]
        yield f"| {' | '.join(cells)} |"


def seeds(rows):
    """Yield the lines of a table of all fits; with "majority" where it was measured."""
    majority = any("majority" in r for found in rows.values() for r in found)
    columns = ["row", "seed", "ACC", *["majority"] * majority, "NMI", "ARI", "score", "seconds"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for row, found in rows.items():
        for r in sorted(found, key=lambda r: r.get("seed", 0)):
            score, seconds = r.get("score"), r.get("seconds")
            cells = [
                row,
                str(r.get("seed", "")),
                f"{r['acc']:.4f}",
                *[f"{r['majority']:.4f}" if "majority" in r else ""] * majority,
                f"{r['nmi']:.3f}",
                f"{r['ari']:.3f}",
                "" if score is None else f"{score:.2f}",
                "" if seconds is None else f"{seconds:.0f}",
            ]
            yield f"| {' | '.join(cells)} |"


def errors(rows):
    """Yield the lines of a table of test errors over draws of labels."""
    yield "| row | labels | draws | test error median | min | max | errors | seconds |"
    yield "|---|---|---|---|---|---|---|---|"
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


def codes(rows):
    """Yield the lines of a table of an InfoGAN's fits: which code is slant, which is ink."""
    shapes = [*SHAPES, *(f"{shape}, in clusters" for shape in SHAPES)]
    yield f"| row | seed | ACC | information | {' | '.join(shapes)} |"
    yield "|---" * (4 + len(shapes)) + "|"
    for row, found in rows.items():
        for r in sorted(found, key=lambda r: r["seed"]):
            names = list(r["slant"])
            size = [[abs(r[f"{shape}, in clusters"][name]) for name in names] for shape in SHAPES]
            _, chosen = linear_sum_assignment(size, maximize=True)
            cells = [row, str(r["seed"]), f"{r['acc']:.4f}", f"{r['information']:.2f}"]
            for shape, code in zip(shapes, [*chosen, *chosen], strict=True):
                cells.append(f"{r[shape][names[code]]:.2f}")
            yield f"| {' | '.join(cells)} |"


def span(values):
    """Median, and smallest to largest, of some numbers; nothing of none."""
    if not values:
        return ""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def overview(*files):
    """Yield the lines of a table of the methods' single fits, data beside data."""
    data = [{row: found for row, found in rows.items() if "," not in row} for rows in files]
    names = [next(iter(rows.values()))[0]["data"] for rows in data]
    yield f"| method | {' | '.join(names)} |"
    yield "|---" * (1 + len(names)) + "|"
    for row in dict.fromkeys(row for rows in data for row in rows):
        cells = [span([r["acc"] for r in rows.get(row, [])]) for rows in data]
        yield f"| {row} | {' | '.join(cells)} |"


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
    """Yield the lines of a table of all records with what differs between them."""
    fits = [record for found in rows.values() for record in found]
    texts = [{name: plain(value) for name, value in record.items()} for record in fits]
    columns = [name for name in texts[0] if len({text.get(name) for text in texts}) > 1]
    yield f"| {' | '.join(name.replace('_', ' ') for name in columns)} |"
    yield "|---" * len(columns) + "|"
    for text in texts:
        yield f"| {' | '.join(text.get(name, '') for name in columns)} |"


KINDS = {
    "spread": spread,
    "seeds": seeds,
    "errors": errors,
    "codes": codes,
    "overview": overview,
    "each": each,
}


def filled(text):
    """Return the text with all its tables made anew."""

    def table(match):
        start, kind, names, end = match.groups()
        return start + "\n".join(KINDS[kind](*map(records, names.split()))) + "\n" + end

    return BLOCK.sub(table, text)


def main():
    """Fill the pages."""
    for page in PAGES:
        text = page.read_text()
        page.write_text(filled(text))
        print(f"{page.name}: {len(BLOCK.findall(text))} tables")


if __name__ == "__main__":
    sys.exit(main())

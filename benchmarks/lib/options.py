"""Options of the command line that scripts share."""

import argparse
from pathlib import Path


def parser(doc):
    """Return a parser with ``--out``, described by the first line of a docstring."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--out", type=Path, help="file to append JSON lines to")
    return made


def parse(parser, arguments, **readers):
    """Parse arguments and read options by functions; a ValueError becomes a usage error."""
    options = parser.parse_args(arguments)
    try:
        for name, read in readers.items():
            setattr(options, name, read(getattr(options, name)))
    except ValueError as error:
        parser.error(str(error))
    return options


def parse_seeds(text):
    """Read "0-4" (a range, both ends), "0,2,7" (a list) or "3" (a count: 0, 1, 2)."""
    try:
        if "-" in text:
            first, last = map(int, text.split("-"))
            seeds = list(range(first, last + 1))
        elif "," in text:
            seeds = [int(part) for part in text.split(",") if part.strip()]
        else:
            seeds = list(range(int(text)))
    except ValueError:
        seeds = []
    if not seeds:
        raise ValueError(f'--seeds {text}: expected a range "0-4", a list "0,2,7" or a count "3".')
    return seeds


def chosen(names, known, option="--methods"):
    """Return the names that were asked for, in any case; all that are known if None."""
    if names is None:
        return list(known)
    by_name = {name.lower(): name for name in known}
    unknown = [name for name in names if name.lower() not in by_name]
    if unknown:
        raise ValueError(f"{option}: {', '.join(unknown)} not among {', '.join(known)}.")
    return list(dict.fromkeys(by_name[name.lower()] for name in names))

"""Options of the command line that scripts share."""

import argparse
from pathlib import Path


def parser(doc, seeds=None, sets=None):
    """Return a parser with ``--out``, and with ``--seeds`` and ``--sets`` if they have a default.

    The first line of a docstring describes it.
    """
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--out", type=Path, help="file to append JSON lines to")
    if seeds:
        text = 'a range "0-4", a list "0,2,7" or a count "3" (%(default)s)'
        made.add_argument("--seeds", default=seeds, help=text)
    if sets:
        text = "names, or eleven, large (%(default)s)"
        made.add_argument("--sets", nargs="+", default=sets, help=text)
    return made


def parse(parser, arguments, **readers):
    """Parse arguments and read options by functions; a ValueError becomes a usage error.

    Seeds are read by `parse_seeds`.
    """
    options = parser.parse_args(arguments)
    readers |= {"seeds": parse_seeds} if hasattr(options, "seeds") else {}
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
            seeds = range(first, last + 1)
        else:
            seeds = map(int, text.split(",")) if "," in text else range(int(text))
        seeds = list(seeds)
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

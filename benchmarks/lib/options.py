"""Options of the command line that scripts share."""

import argparse
import ast
from pathlib import Path

from .methods import METHODS


def parser(doc, data="mnist", seeds="0-4"):
    """Return a parser with ``--data``, ``--seeds`` and ``--results``, described by a docstring."""
    made = bare_parser(doc)
    made.add_argument("--data", default=data, help="a name, FILE.npz or FILE.csv (%(default)s)")
    made.add_argument(
        "--seeds", default=seeds, help='"0-4", "0,2,7", or a count "3" (%(default)s)'
    )
    return made


def bare_parser(doc):
    """Return a parser with ``--results`` alone, described by the first line of a docstring."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--results", type=Path, help="file to append JSON lines to")
    return made


def add_precision(parser):
    """Add ``--precision``, of the training steps."""
    kinds = ["float32", "bfloat16", "auto"]
    parser.add_argument("--precision", default="float32", choices=kinds, help="of training steps")


def add_shared_starts(parser):
    """Add the options of what fits may take over from earlier ones."""
    parser.add_argument("--pretrained", type=Path, help="folder of auto-encoders and kept fits")
    parser.add_argument("--starts", metavar="METHOD", help="whose kept starts the fits take")


def setting(text):
    """Read "name=value", the value as Python writes it, or as text."""
    name, _, written = text.partition("=")
    try:
        return name, ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return name, written


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


def parse_methods(names):
    """Names of `METHODS`, in any case, separated by spaces or commas; all if None."""
    if names is None:
        return list(METHODS)
    known = {name.lower(): name for name in METHODS}
    asked = [part for name in names for part in name.split(",") if part]
    unknown = [name for name in asked if name.lower() not in known]
    if unknown:
        raise ValueError(f"--methods: {', '.join(unknown)} not among {', '.join(METHODS)}.")
    return list(dict.fromkeys(known[name.lower()] for name in asked))

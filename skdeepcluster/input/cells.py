"""Cells of a table as people type them: texts and objects that are numbers or dates."""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Real

import numpy as np

from .labels import is_missing

#: Minimum share of the values of a column that are numbers for the others to be mistakes: a level
#: that is a text, such as "10 or more", is more frequent.
MIN_SHARE = 0.95
#: How texts write missing values of numbers.
GAPS = {"nan", "none", "<na>", "nat"}
#: Numbers as texts.
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*", re.I)
#: Codes of articles and places: zeros in front, and exponents without signs.
CODE = re.compile(r"\s*(?:0\d.*|\d+[eE]\d+)\s*")
#: Beginning of dates by ISO 8601.
ISO_DATE = re.compile(r"\d{4}-\d\d")
DAY = timedelta(days=1)


def choose_reader(values, kind):
    """Return the name of the reader of objects (N,) of a kind, or None if they are texts."""
    try:
        counts = _count(values)
    except TypeError:  # lists and dictionaries
        return None

    n_read = {
        name: sum(n for value, n in counts.items() if read(value) is not None)
        for name, read in READERS.items()
        if kind != "date" or name != "number"
    }
    best = max(n_read, key=n_read.get)
    if kind is not None:
        return best if n_read[best] else None
    is_code = any(isinstance(value, str) and CODE.fullmatch(value) for value in counts)
    is_text = is_code or n_read[best] < MIN_SHARE * counts.total()
    return None if is_text else best


def read_cells(values, reader):
    """Return objects (N,) as numbers, nan for missing ones and others, and these others."""
    counts = _count(values)
    numbers = {value: READERS[reader](value) for value in counts}
    strays = [value for value in counts.elements() if numbers[value] is None]
    return np.array([numbers.get(value) for value in values], dtype=float), strays


def _count(values):
    """Return how often objects (N,) occur, without missing ones."""
    counts = Counter(values.tolist())
    for value in list(counts):
        if is_missing(value) or str(value).lower() in GAPS:
            del counts[value]
    return counts


def _read_number(value):
    """Return a number or text as a number, None if it is none."""
    is_number = isinstance(value, Real | Decimal) and not isinstance(value, bool)
    is_text = isinstance(value, str) and NUMBER.fullmatch(value)
    return float(value) if is_number or is_text else None


def _read_date(value):
    """Return the days since 1970 of a date, a period or a text by ISO 8601, else None."""
    if isinstance(value, str) and ISO_DATE.match(value):
        day = "" if len(value) > len("2024-03") else "-01"
        try:
            value = datetime.fromisoformat(value + day)
        except ValueError:
            return None
    value = getattr(value, "start_time", value)  # of a period
    if isinstance(value, datetime):
        zone = None if value.tzinfo is None else UTC
        return (value - datetime(1970, 1, 1, tzinfo=zone)) / DAY
    return (value - date(1970, 1, 1)) / DAY if isinstance(value, date) else None


def _read_span(value):
    """Return the days of a time span, else None."""
    return value / DAY if isinstance(value, timedelta) else None


#: How objects become numbers: each reader returns None for what it cannot read.
READERS = {"number": _read_number, "date": _read_date, "span": _read_span}

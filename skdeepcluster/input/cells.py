"""Cells of a table as people type them: dates, money, percent and gaps become numbers.

N samples, D columns of X.
"""

import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from importlib import import_module
from numbers import Real
from types import NoneType

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing

from .checks import warn_user
from .labels import is_missing

#: How the names of types of texts, of dates, and of others to read begin, in lower case.
TEXTS = ("str", "object", "utf8", "large_str")
DATES = ("date", "time", "period", "duration")
UNREAD = (*TEXTS, *DATES, "decimal", "null")
#: Kinds of columns whose values are names.
LEVELS = ("flag", "category", "out")
#: Minimum share of the values of a column that are numbers for the others to be mistakes: a level
#: that is a text, such as "10 or more", is more frequent.
MIN_SHARE = 0.95
#: How texts write missing values of numbers.
GAPS = {"nan", "none", "<na>", "nat"}
#: Units: percent, signs and codes of currencies. How numbers in texts begin.
UNIT = r"%|[$\xa2-\xa5\u20a0-\u20cf]|USD|EUR|JPY|GBP|CNY|AUD|CAD|CHF|INR|SEK|NOK|DKK|PLN|CZK"
NUMBER_START = re.compile(rf"\s*(?:{UNIT}|[-+−.,\d])", re.I)
#: Codes of articles and places: zeros in front, and exponents without signs.
CODE = re.compile(r"0\d.*|\d+[eE]\d+")
#: Beginning of dates by ISO 8601.
ISO_DATE = re.compile(r"\d{4}-?\d\d")
EPOCH = datetime(1970, 1, 1)
DAY = timedelta(days=1)
MICROSECONDS = 86_400_000_000
#: Steps per day to which dates are rounded: days, hours, minutes, seconds, and finer ones.
STEPS = 1, 24, 1440, 86_400, 86_400_000, MICROSECONDS
#: Maximum distance from whole steps.
STEP_ERROR = 1e-3


class CellReader(BaseEstimator):
    """Numbers for columns of dates and of objects or texts that are numbers, nan for gaps.

    Dates are days since the first one, and time spans are days.
    """

    def fit_read(self, X, said):
        """Find how the columns of X (N, D) are read; return X with numbers in these columns.

        ``said`` has the kinds of columns that the user says, by position. ``dates_`` describes
        the columns of dates and time spans.
        """
        self.names_ = list_names(X)
        self.ways_ = {}
        self.dates_ = {}
        columns = {}
        for i in _list_unread(X):
            kind = said.get(i)
            values = _load(X, i)
            way = None if kind in LEVELS else _find_way(values, kind)
            self.ways_[i] = way
            if way in DAYS:
                days = _parse(values, way)[0]
                self.dates_[i] = _describe_dates(days, way) | {
                    "dtype": _describe_type(X, i)
                }
            if way:
                columns[i] = self._read_column(i, values)
        return _replace(X, columns)

    def read(self, X):
        """Return X (N, D) with numbers in the same columns."""
        unread = _list_unread(X) if list_names(X) == self.names_ else ()
        columns = {}
        for i in unread:
            values = _load(X, i)
            if self.ways_.get(i):
                columns[i] = self._read_column(i, values)
            elif i not in self.ways_:
                numbers, strays = _parse(values, ".")
                if not strays:  # else refused by the checks that follow
                    columns[i] = numbers
        return _replace(X, columns)

    def _read_column(self, i, values):
        """Return values (N,) of a column as numbers."""
        numbers, strays = _parse(values, self.ways_[i])
        if strays:
            self._warn_of_strays(i, strays)
        origin = self.dates_[i]["origin"] if i in self.dates_ else 0
        return numbers - origin

    def _warn_of_strays(self, i, strays):
        """Warn of values that are no numbers."""
        name = self.names_[i]
        warn_user(
            f"Column {name!r} has numbers or dates, and {len(strays)} values that are taken as "
            f"missing, such as {min(strays, key=str)!r}. If it names categories, say "
            f"kinds={{{name!r}: 'category'}}.",
            UserWarning,
        )

    def describe(self, i):
        """Return the name of a column of dates, with what its numbers are."""
        start = ""
        if self.dates_[i]["way"] == "date":
            start = f" since {np.datetime64(int(self.dates_[i]['origin']), 'D')}"
        return f"{self.names_[i]} (days{start})"

    def restore(self, table):
        """Return a table (N, D) with dates and time spans in the types of the fit."""
        columns = {}
        for i, described in self.dates_.items():
            days = np.asarray(_safe_indexing(table, i, axis=1), dtype=float)
            columns[i] = _make_dates(days, **described)
        return _replace(table, columns)


# ---- columns


def _load(X, i):
    """Return a column (N,) as numbers, dates, time spans or objects."""
    column = _safe_indexing(X, i, axis=1)
    # Dates with time zones would be objects.
    is_date = "datetime" in str(column.dtype).lower()
    values = np.asarray(column, dtype="M8[us]" if is_date else None)
    if values.dtype.kind not in "OUS":
        return values
    values = values.astype(object)
    types = set(map(type, values.tolist()))
    are_numbers = all(
        issubclass(own, Real | NoneType) and own is not bool for own in types
    )
    return values.astype(float) if are_numbers else values


def _find_way(values, kind):
    """Return how to read values (N,) of a kind, or None if they are texts."""
    if values.dtype.kind != "O":
        return {"M": "date", "m": "span"}.get(values.dtype.kind, ".")
    try:
        counts = _count(values)
    except TypeError:  # lists and dictionaries
        return None
    total = counts.total()
    least = MIN_SHARE * total if kind is None else 0
    n_likely = sum(
        count
        for value, count in counts.items()
        if not isinstance(value, str) or NUMBER_START.match(value)
    )
    if n_likely < least:
        return None
    best = None if total else "."
    most = 0
    for way in DAYS if kind == "date" else WAYS:
        n_read = sum(
            count for value, count in counts.items() if WAYS[way](value) is not None
        )
        if n_read > most:
            best = way
            most = n_read
        if most == total:
            break
    if most < least or kind is None and _are_codes(counts):
        return None
    return best


def _count(values):
    """Return how often objects (N,) occur, without missing ones."""
    counts = Counter(values.tolist())
    for value in list(counts):
        if is_missing(value) or str(value).lower() in GAPS:
            del counts[value]
    return counts


def _are_codes(values):
    """Return whether some values are codes in texts, or have different units."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    units = re.findall(UNIT, " ".join(texts))
    return len(set(units)) > 1 or any(map(CODE.fullmatch, texts))


def _parse(values, way):
    """Return values (N,) as numbers, nan for missing ones and others, and these others."""
    if values.dtype.kind in "mM":
        days = values.astype(f"{values.dtype.kind}8[us]").astype(float) / MICROSECONDS
        return np.where(np.isnat(values), np.nan, days), []
    if values.dtype.kind != "O":
        return values.astype(float), []
    counts = _count(values)
    numbers = {value: WAYS[way](value) for value in counts}
    strays = [value for value in counts.elements() if numbers[value] is None]
    return np.array([numbers.get(value) for value in values], dtype=float), strays


# ---- values


def _compile_number(point, comma):
    """Return the pattern of numbers with a decimal point, and a comma between thousands."""
    thousands = rf"[1-9]\d{{0,2}}(?:[{comma}\s'’]\d{{3}})+"
    number = rf"(?:{thousands}|\d+)(?:[{point}]\d*)?|[{point}]\d+"
    sign = r"[+\-−]?"
    return re.compile(
        rf"({sign})\s?(?:{UNIT})?\s?({sign})({number})(e[+-]?\d+)?\s?(?:{UNIT})?", re.I
    )


NUMBERS = {".": _compile_number(".", ","), ",": _compile_number(",", ".")}


def _read_number(value, point):
    """Return a number or text as a number, None if it is none."""
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return float(value)
    match = NUMBERS[point].fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    sign, own_sign, number, exponent = match.groups()
    whole, _, fraction = number.partition(point)
    whole = re.sub(r"\D", "", whole)
    size = float(f"{whole or 0}.{fraction or 0}{exponent or ''}")
    return size if (sign or own_sign) in ("", "+") else -size


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
        return (value - EPOCH.replace(tzinfo=zone)) / DAY
    return (value - EPOCH.date()) / DAY if isinstance(value, date) else None


def _read_span(value):
    """Return the days of a time span or a time of day, else None."""
    if isinstance(value, time):
        value = datetime.combine(EPOCH, value) - EPOCH
    return value / DAY if isinstance(value, timedelta) else None


#: Ways to read values: numbers by their decimal point, dates, time spans.
DAYS = {"date": _read_date, "span": _read_span}
WAYS = {point: partial(_read_number, point=point) for point in NUMBERS} | DAYS


# ---- dates


def _describe_dates(days, way):
    """Return what :func:`_make_dates` needs to know about days (N,)."""
    known = days[~np.isnan(days)]
    fits = [
        n for n in STEPS if np.allclose(known * n, np.rint(known * n), 0, STEP_ERROR)
    ]
    is_date = way == "date" and len(known) > 0
    return {
        "way": way,
        "origin": float(np.floor(known.min())) if is_date else 0.0,
        "steps": fits[0] if fits else MICROSECONDS,
    }


def _describe_type(X, i):
    """Return the type of a column of dates in a frame, None for objects, texts and arrays."""
    dtype = list(X.dtypes)[i] if _is_frame(X) else None
    if not str(dtype).lower().startswith(DATES):
        return None
    if hasattr(X, "iloc"):
        return str(dtype)
    units = [
        vars(dtype)[name] for name in ("time_unit", "time_zone") if name in vars(dtype)
    ]
    return [str(dtype).partition("(")[0], *units]


def _make_dates(days, way, origin, steps, dtype):
    """Return a column of dates or time spans from days (N,) since the ``origin``."""
    days = np.rint((days + origin) * steps) / steps
    parts = np.rint(np.nan_to_num(days) * MICROSECONDS).astype(np.int64)
    dates = parts.astype("M8[us]" if way == "date" else "m8[us]")
    dates[np.isnan(days)] = "NaT"
    if dtype is None:
        return dates
    if isinstance(dtype, list):
        polars = import_module("polars")
        name, *units = dtype
        dates = polars.Series(parts * 1000 if name == "Time" else dates)
        return dates.cast(getattr(polars, name)(*units))
    dates = import_module("pandas").Series(dates)
    if "," in dtype:  # a time zone
        dates = dates.dt.tz_localize("UTC")
    return dates.astype(dtype).array


# ---- tables


def _is_frame(X):
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def list_names(X):
    """Return the names of the columns of X (N, D), or their positions."""
    shape = getattr(X, "shape", ())
    return list(getattr(X, "columns", range((*shape, 0, 0)[1])))


def read_list(X):
    """Return a list of samples as an array, of objects if it has texts or objects."""
    if not isinstance(X, list | tuple):
        return X
    values = np.asarray(X)
    return np.array(X, dtype=object) if values.dtype.kind in "OU" else values


def _list_unread(X):
    """Return the positions of the columns whose values may be no numbers."""
    if _is_frame(X):
        names = [str(dtype).lower() for dtype in X.dtypes]
        return [i for i, name in enumerate(names) if name.startswith(UNREAD)]
    is_read = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUSmM"
    return range(X.shape[1]) if is_read else []


def _replace(X, columns):
    """Return X with other columns, by position."""
    if not columns:
        return X
    if hasattr(X, "iloc"):
        X = X.copy(deep=False)
        for i, values in columns.items():
            X.isetitem(i, values)
        return X
    if _is_frame(X):
        make = import_module("polars").Series
        names = X.columns
        return X.with_columns([make(names[i], values) for i, values in columns.items()])
    dtypes = {values.dtype for values in columns.values()}
    if len(columns) == X.shape[1] and len(dtypes) == 1:
        return np.column_stack(list(columns.values()))
    X = X.astype(object)
    for i, values in columns.items():
        X[:, i] = values
    return X

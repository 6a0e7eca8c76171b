"""Cells of a table as people type them: dates, money, percent and gaps become numbers.

N samples, D columns of X.
"""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
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

#: How the names of types of texts, of others for any values, and of dates begin, in lower case.
TEXTS = ("str", "object", "utf8", "large_str")
UNTYPED = (*TEXTS, "decimal", "null")
UNREAD = (*UNTYPED, "date", "timestamp", "timedelta", "period", "duration")
#: Kinds of columns whose values are names.
LEVELS = ("flag", "category", "out")
#: Minimum share of the values of a column that are numbers for the others to be mistakes: a level
#: that is a text, such as "10 or more", is more frequent.
MIN_SHARE = 0.95
#: How texts write missing values of numbers.
GAPS = {"nan", "none", "<na>", "nat"}
#: Units: percent, signs and codes of currencies.
UNIT = r"(?:%|[$\xa2-\xa5\u20a0-\u20cf]|USD|EUR|JPY|GBP|CNY|AUD|CAD|CHF|INR|SEK|NOK|DKK|PLN|CZK)"
#: Codes of articles and places: zeros in front, and exponents without signs.
CODE = re.compile(r"\s*(?:0\d.*|\d+[eE]\d+)\s*")
#: Beginning of dates by ISO 8601.
ISO_DATE = re.compile(r"\d{4}-\d\d")
EPOCH = np.datetime64(0, "us")
DAY = timedelta(days=1)
SECONDS = 86_400


class CellReader(BaseEstimator):
    """Numbers for columns of dates and of objects or texts that are numbers, nan for gaps.

    Dates are days since the first one, and time spans are days.
    """

    def fit_read(self, X, said):
        """Find how the columns of X (N, D) are read; return X with numbers in these columns.

        ``said`` has the kinds of columns that the user says, by position. ``dates_`` has the
        first day of columns of dates, and 0 for time spans.
        """
        self.names_ = list_names(X)
        self.ways_ = {}
        self.dates_ = {}
        self.library_ = None
        self.types_ = {}
        if hasattr(X, "columns"):
            self.library_ = "pandas" if hasattr(X, "iloc") else "polars"
            self.types_ = dict(enumerate(map(_describe_type, X.dtypes)))
        for i in _list_unread(X):
            kind = said.get(i)
            values = _load(X, i)
            way = None if kind in LEVELS else _find_way(values, kind)
            self.ways_[i] = way
            if way in DAYS:
                days = _parse(values, way)[0] if way == "date" else 0.0
                first = np.fmin.reduce(days, axis=None, initial=np.nan)
                self.dates_[i] = float(np.floor(np.nan_to_num(first)))
        return self.read(X)

    def read(self, X):
        """Return X (N, D) with numbers in the same columns."""
        columns = {}
        for i in _list_unread(X):
            way = self.ways_.get(i, ".")
            if way is None:
                continue
            numbers, strays = _parse(_load(X, i), way)
            if strays and i not in self.ways_:
                continue  # refused by the checks that follow
            if strays:
                name = self.names_[i]
                warn_user(
                    f"Column {name!r} has numbers or dates, and {len(strays)} values that are "
                    f"taken as missing, such as {min(strays, key=str)!r}. If it names "
                    f"categories, say kinds={{{name!r}: 'category'}}.",
                    UserWarning,
                )
            columns[i] = numbers - self.dates_.get(i, 0)
        return _replace(X, columns)

    def restore(self, columns):
        """Return columns, by position, as a table (N, D) with the types of the fit."""
        for i, origin in self.dates_.items():
            seconds = np.rint((columns[i] + origin) * SECONDS)
            spans = seconds.astype("m8[s]").astype("m8[us]")
            columns[i] = spans + EPOCH if self.ways_[i] == "date" else spans
        if self.library_ is not None:
            return self._make_frame(columns)
        table = np.array(
            [column.tolist() for column in columns.values()], dtype=object
        ).T
        is_numeric = all(column.dtype.kind in "iuf" for column in columns.values())
        return table.astype(np.float64) if is_numeric else table

    def _make_frame(self, columns):
        """Return columns, by position, as a frame."""
        library = import_module(self.library_)
        types = {}
        for i, (name, options) in self.types_.items():
            letter = columns[i].dtype.kind
            is_text = name.lower().startswith(UNTYPED)
            if letter == "O" and self.library_ == "polars":
                columns[i] = columns[i].tolist()  # an array would be of type Object
            elif letter == "O" and not is_text or is_text and letter in "fmM":
                continue  # left out, or read
            elif letter == "f" and "int" in name.lower():
                columns[i] = columns[i].round()
            if letter == "M" and "," in name:  # a time zone
                columns[i] = library.to_datetime(columns[i], utc=True)
            is_class = options or self.library_ == "polars"
            types[self.names_[i]] = (
                getattr(library, name)(**options) if is_class else name
            )
        frame = library.DataFrame(dict(zip(self.names_, columns.values(), strict=True)))
        return frame.cast(types) if self.library_ == "polars" else frame.astype(types)


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
    is_float = {*map(type, values.tolist())} <= {int, float, NoneType}
    return values.astype(float) if is_float else values


def _find_way(values, kind):
    """Return how to read values (N,) of a kind, or None if they are texts."""
    if values.dtype.kind != "O":
        return {"M": "date", "m": "span"}.get(values.dtype.kind, ".")
    try:
        counts = _count(values)
    except TypeError:  # lists and dictionaries
        return None
    n_read = {
        way: sum(n for value, n in counts.items() if WAYS[way](value) is not None)
        for way in (DAYS if kind == "date" else WAYS)
    }
    best = max(n_read, key=n_read.get)
    if kind is not None:
        return best if n_read[best] else None
    is_code = any(isinstance(value, str) and CODE.fullmatch(value) for value in counts)
    return None if is_code or n_read[best] < MIN_SHARE * counts.total() else best


def _count(values):
    """Return how often objects (N,) occur, without missing ones."""
    counts = Counter(values.tolist())
    for value in list(counts):
        if is_missing(value) or str(value).lower() in GAPS:
            del counts[value]
    return counts


def _parse(values, way):
    """Return values (N,) as numbers, nan for missing ones and others, and these others."""
    if values.dtype.kind == "M":
        values = values - EPOCH
    if values.dtype.kind == "m":
        return values / np.timedelta64(1, "D"), []
    if values.dtype.kind != "O":
        return values.astype(float), []
    counts = _count(values)
    numbers = {value: WAYS[way](value) for value in counts}
    strays = [value for value in counts.elements() if numbers[value] is None]
    return np.array([numbers.get(value) for value in values], dtype=float), strays


# ---- values


def _compile_number(point, comma):
    """Return the pattern of numbers with a decimal point, and a comma between thousands."""
    unit = rf"(?:{UNIT}\s?)?"
    thousands = rf"[1-9]\d{{0,2}}(?:[{comma}\s'’]\d{{3}})+"
    number = rf"(?:{thousands}|\d+)(?:[{point}]\d*)?|[{point}]\d+"
    return re.compile(
        rf"\s*{unit}([+\-−]?)\s?{unit}({number})(e[+-]?\d+)?\s?{unit}\s*", re.I
    )


NUMBERS = {".": _compile_number(".", ","), ",": _compile_number(",", ".")}


def _read_number(value, point):
    """Return a number or text as a number, None if it is none."""
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return float(value)
    match = NUMBERS[point].fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    sign, number, exponent = match.groups("")
    whole, _, fraction = number.partition(point)
    whole = re.sub(r"\D", "", whole)
    return float(f"{sign.replace('−', '-')}{whole}.{fraction}{exponent}")


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


#: Ways to read values: numbers by their decimal point, dates, time spans.
DAYS = {"date": _read_date, "span": _read_span}
WAYS = {point: partial(_read_number, point=point) for point in NUMBERS} | DAYS


# ---- tables


def _describe_type(dtype):
    """Return the name and the options of a type of a column of a frame."""
    name = str(dtype).partition("(")[0]
    if name == "category":
        options = {"categories": list(dtype.categories), "ordered": bool(dtype.ordered)}
        return "CategoricalDtype", options
    if name == "Enum":
        return name, {"categories": list(dtype.categories)}
    return name, vars(dtype) if name in ("Datetime", "Duration") else {}


def list_names(X):
    """Return the names of the columns of X (N, D), or their positions."""
    return list(getattr(X, "columns", range(X.shape[-1])))


def _list_unread(X):
    """Return the positions of the columns whose values may be no numbers."""
    if hasattr(X, "columns"):
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
    if hasattr(X, "columns"):
        make = import_module("polars").Series
        names = X.columns
        return X.with_columns([make(names[i], values) for i, values in columns.items()])
    X = X.astype(object)
    for i, values in columns.items():
        X[:, i] = values
    return X

"""Tables as columns: frames of pandas and polars, and arrays of objects.

Their texts and objects are numbers or dates as people type them, or categories.

N samples, D columns of X.
"""

import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from .checks import is_frame, name_column, warn_user
from .labels import is_missing

#: Kinds of columns whose values are names.
LEVELS = ("binary", "category", "out")
#: Types of columns whose numbers are days.
DAYS = ("date", "span")
EPOCH = np.datetime64(0, "us")
SECONDS = 86_400
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


class Column(NamedTuple):
    """A column of a table."""

    name: Any
    #: Numbers (N,), nan where missing, or objects, None where missing.
    values: np.ndarray
    #: "number", "integer", "boolean", "date", "span", "category", "ordered" or "text".
    type: str = "number"
    #: Categories of the type, in their order.
    levels: tuple = ()

    @property
    def is_numeric(self):
        """Whether the values are numbers."""
        return self.values.dtype.kind == "f"

    def read_objects(self):
        """Return the values (N,) as objects, None where they are missing."""
        if not self.is_numeric:
            return self.values
        objects = to_objects(self.values)
        if self.type == "integer":
            is_known = ~np.isnan(self.values)
            objects[is_known] = self.values[is_known].astype(int)
        return objects


class Table(NamedTuple):
    """Samples as columns."""

    columns: list
    is_frame: bool = False

    @property
    def shape(self):
        """Numbers of samples and columns."""
        return len(self.columns[0].values), len(self.columns)

    def take(self, rows):
        """Return some of the samples."""
        taken = [column._replace(values=column.values[rows]) for column in self.columns]
        return self._replace(columns=taken)

    def read_numbers(self, places, **options):
        """Return some columns as checked numbers, nan where they are missing, float64."""
        columns = [self.columns[i] for i in places]
        dtype = float if all(column.is_numeric for column in columns) else object
        numbers = np.empty((self.shape[0], len(places)), dtype, "F")
        for k, column in enumerate(columns):
            numbers[:, k] = column.values
        if not columns:
            return numbers
        with name_column(numbers, [column.name for column in columns]):
            return check_array(
                numbers,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                input_name="X",
                **options,
            )


class TableReader(BaseEstimator):
    """Reads tables as columns, and makes tables like that of the fit.

    Dates are days since the first one, and time spans are days. Texts and objects become numbers
    if they are numbers or dates.
    """

    def fit(self, X, said):
        """Learn how to read X (N, D); ``said`` has kinds of columns by position."""
        self.library_ = None
        if is_frame(X):
            from .frames import list_types

            self.library_, self.types_ = list_types(X)
        self.readers_ = {}
        self.days_ = {}
        for i, column in enumerate(_list_columns(X)):
            if column.type == "text" and said.get(i) not in LEVELS:
                reader = choose_reader(column.values, said.get(i))
                if reader is not None:
                    self.readers_[i] = reader
                    values = read_cells(column.values, reader)[0]
                    column = column._replace(values=values, type=reader)
            if column.type in DAYS:
                self.days_[i] = _find_first_day(column)
        return self

    def read(self, X):
        """Return samples X (N, D) as a :class:`Table`."""
        columns = _list_columns(X)
        for i, reader in self.readers_.items():
            if columns[i].type == "text":
                columns[i] = _read_text(columns[i], reader)
        for i, first in self.days_.items():
            column = columns[i]
            if column.is_numeric:
                columns[i] = column._replace(values=column.values - (first or 0.0))
        return Table(columns, is_frame(X))

    def restore(self, columns):
        """Return columns, a list of arrays (N,), as a table like that of the fit."""
        columns = list(columns)
        for i, first in self.days_.items():
            seconds = np.rint((columns[i] + (first or 0.0)) * SECONDS)
            days = seconds.astype("m8[s]").astype("m8[us]")
            columns[i] = days if first is None else days + EPOCH
        if self.library_ is not None:
            from .frames import make_frame

            return make_frame(columns, self.library_, self.types_)
        table = np.array([column.tolist() for column in columns], dtype=object).T
        is_numeric = all(column.dtype.kind in "iuf" for column in columns)
        return table.astype(np.float64) if is_numeric else table


# ---- columns of tables and of arrays


def list_names(X):
    """Return the names of the columns of X (N, D), or their positions."""
    return list(getattr(X, "columns", range(X.shape[1])))


def read_numbers(X, places):
    """Return some columns of X (N, D) as numbers, nan where they are missing."""
    if isinstance(X, Table):
        return X.read_numbers(places)
    return X if len(places) == X.shape[1] else X[:, places]


def read_objects(X, i):
    """Return a column of X (N, D) as objects, None where they are missing."""
    if isinstance(X, Table):
        return X.columns[i].read_objects()
    return to_objects(X[:, i])


def may_be_number(X, i, kind):
    """Return whether the values of a column of a known kind, or None, may be numbers."""
    if kind == "binary" and isinstance(X, Table):
        return X.columns[i].is_numeric or X.columns[i].type == "boolean"
    return kind not in ("category", "out")


def list_order(column):
    """Return the categories of a column in their order, none if it has numbers."""
    has_texts = any(isinstance(value, str) for value in column.values)
    if has_texts and not column.levels:
        raise ValueError(
            f"Column {column.name!r} is ordinal, but its texts have no order. Convert it by "
            "pandas.Categorical(column, levels, ordered=True)."
        )
    return list(column.levels)


def place_levels(column, levels):
    """Return a column whose values are places in the order of its levels."""
    places = {level: float(place) for place, level in enumerate(levels)}
    values = [places.get(value, np.nan) for value in column.values]
    return column._replace(values=np.array(values))


def to_objects(values):
    """Return numbers (N,) as objects, None where they are missing."""
    objects = values.astype(object)
    objects[np.isnan(values)] = None
    return objects


def make_objects(values):
    """Return a list of values as an array of objects (N,), None where they are missing."""
    objects = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        if not is_missing(value):
            objects[i] = value
    return objects


def _list_columns(X):
    """Return the columns of X (N, D), a frame or an array."""
    if is_frame(X):
        from .frames import read_columns

        return read_columns(X)
    return [_read_array(i, values) for i, values in enumerate(X.T)]


def _read_array(name, values):
    """Return a column of an array."""
    kind = values.dtype.kind
    if kind == "M":
        values = values.astype("M8[us]") - EPOCH
    if kind in "mM":
        days = values / np.timedelta64(1, "D")
        return Column(name, days, "date" if kind == "M" else "span")
    if kind in "biuf":
        return Column(name, values.astype(float))
    return Column(name, make_objects(values.tolist()), "text")


def _read_text(column, reader):
    """Return a column of objects as one of numbers; warn of others."""
    numbers, strays = read_cells(column.values, reader)
    if strays:
        warn_user(
            f"Column {column.name!r} has numbers or dates, and {len(strays)} values that are "
            f"taken as missing, such as {min(strays, key=str)!r}. If it names categories, say "
            f"kinds={{{column.name!r}: 'category'}}.",
            UserWarning,
        )
    return column._replace(values=numbers, type=reader)


def _find_first_day(column):
    """Return the first day of a column of dates, None for time spans."""
    if column.type == "span":
        return None
    first = np.fmin.reduce(column.values, initial=np.nan)
    return float(np.floor(np.nan_to_num(first)))


# ---- texts and objects that are numbers or dates


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

"""Frames of pandas and polars: their columns, and frames like them, by narwhals.

Imported when the first frame comes. N samples, D columns.
"""

import narwhals as nw
import numpy as np

from .tables import Column, make_objects

#: Types whose values may be read as numbers, and those that cannot be made.
TEXTS = ("String", "Object", "Unknown")
UNREADABLE_TYPES = ("Object", "Unknown", "Decimal")
MICROSECONDS = 86_400e6


def read_columns(X):
    """Return the columns of a frame (N, D)."""
    frame = nw.from_native(X, eager_only=True)
    is_pandas = frame.implementation.is_pandas_like()
    return [_read_series(frame[:, i], is_pandas) for i in range(frame.shape[1])]


def _read_series(series, is_pandas):
    """Return a column of a frame."""
    name = series.name
    dtype = series.dtype
    if dtype.is_numeric():
        numbers = series.cast(nw.Float64).to_numpy().astype(float)
        return Column(name, numbers, "integer" if dtype.is_integer() else "number")
    if dtype in (nw.Date, nw.Datetime):
        times = series.cast(nw.Datetime("us")) if dtype == nw.Date else series
        return Column(name, _read_days(times.dt.timestamp("us")), "date")
    if dtype == nw.Duration:
        return Column(name, _read_days(series.dt.total_microseconds()), "span")

    values = make_objects(series.to_list())
    if dtype == nw.Enum:
        # The order of an Enum of polars is that in which it is stored.
        kind = "ordered" if is_pandas else "category"
        return Column(name, values, kind, tuple(dtype.categories))
    types = {nw.Boolean: "boolean", nw.Categorical: "category"}
    return Column(name, values, types.get(type(dtype), "text"))


def _read_days(microseconds):
    """Return a series of microseconds in days (N,)."""
    return microseconds.cast(nw.Float64).to_numpy() / MICROSECONDS


def list_types(X):
    """Return the library of a frame, and name, type and options of each column."""
    frame = nw.from_native(X, eager_only=True)
    types = []
    for name, dtype in frame.schema.items():
        options = {}
        if dtype == nw.Enum:
            options = {"categories": list(dtype.categories)}
        elif dtype == nw.Datetime:
            options = {"time_unit": dtype.time_unit, "time_zone": dtype.time_zone}
        elif dtype == nw.Duration:
            options = {"time_unit": dtype.time_unit}
        types.append((name, type(dtype).__name__, options))
    return frame.implementation.value, types


def make_frame(columns, library, types):
    """Return columns, a list of arrays (N,), as a frame with the types of another one."""
    series = []
    for (name, kind, options), values in zip(types, columns, strict=True):
        column = nw.new_series(name, values.tolist(), backend=library)
        is_read = kind in TEXTS and values.dtype.kind in "fmM"
        if not (is_read or kind in UNREADABLE_TYPES or column.is_null().all()):
            column = _convert(column, getattr(nw, kind)(**options))
        series.append(column.to_frame())
    return nw.concat(series, how="horizontal").to_native()


def _convert(series, dtype):
    """Return a series of decoded values in another type."""
    if dtype == nw.Datetime and dtype.time_zone is not None:
        series = series.dt.replace_time_zone("UTC")
        series = series.dt.convert_time_zone(dtype.time_zone)
    if dtype.is_integer() and series.dtype.is_float():
        series = series.round()
    return series.cast(dtype)


def fill_frame(X, values):
    """Return a frame (N, D) with its gaps filled from a frame of the same columns."""
    frame = nw.from_native(X, eager_only=True)
    values = nw.from_native(values, eager_only=True)
    filled = []
    for i, column in enumerate(read_columns(X)):
        series = frame[:, i]
        gaps = np.flatnonzero(np.equal(column.read_objects(), None)).tolist()
        if gaps and not values[:, i].is_null().all():
            series = series.scatter(gaps, values[gaps, i].to_list())
        filled.append(series)
    return frame.with_columns(*filled).to_native()

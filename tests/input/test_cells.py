"""Cells as people type them: dates, numbers, gaps, identifiers, and what cannot be read."""

import datetime

import numpy as np
import pandas as pd
import pytest
from common import in_full
from sklearn.datasets import load_iris

from skdeepcluster import NeighborClustering, VAEEmbedding
from skdeepcluster.input import Preparation
from skdeepcluster.inspection import ClusterReport

pytestmark = pytest.mark.usefixtures("no_alternatives")

N = 160
RNG = np.random.default_rng(0)
Y = np.arange(N) % 2
VALUES = RNG.lognormal(6 + 3 * Y, 0.5).round(2)
DAYS = pd.Timestamp("2021-03-01") + pd.to_timedelta(RNG.integers(0, 90, N) + 400 * Y, unit="D")
TIMES = pd.Series(DAYS + pd.to_timedelta(RNG.integers(0, 1440, N), unit="min"))
COUNTS = RNG.integers(1_000, 99_999, N)


def find(column, kinds="auto", **others):
    """Return the kind of a column beside a number, and its numbers."""
    table = pd.DataFrame({"x": RNG.normal(8 * Y), "own": column} | others)
    found = Preparation(kinds).fit(table)
    names = found.get_feature_names_out().tolist()
    if "own" not in names:
        return found.kinds_["own"], None
    place = names.index("own")
    return found.kinds_["own"], found.transform(table)[:, place]


# ---- gaps


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT, "", "  "], ids=repr)
@pytest.mark.parametrize("name", ["number", "city"])
def test_gaps_are_alike(nothing, name):
    table = pd.DataFrame({"number": RNG.normal(8 * Y), "city": RNG.choice(["Bonn", "Oslo"], N)})
    table = table.astype({name: object})
    table["other"] = Y + RNG.normal(size=N)
    table.loc[::9, name] = np.nan
    expected = Preparation().fit(table)
    holed = table.copy()
    holed[name] = [nothing if i % 9 == 0 else value for i, value in enumerate(table[name])]
    found = Preparation().fit(holed)
    assert found.kinds_ == expected.kinds_
    np.testing.assert_array_equal(found.transform(holed), expected.transform(table))
    if name == "number":
        array = holed[["number", "other"]].to_numpy(dtype=object)
        plain = table[["number", "other"]].to_numpy(dtype=float)
        np.testing.assert_array_equal(
            Preparation().fit_transform(array), Preparation().fit_transform(plain)
        )


# ---- numbers as texts

TEXTS = {
    "exponents": [f"{value:.8e}" for value in VALUES],
    "plain": [str(value) for value in VALUES],
    "signs": [f"-{value}" for value in VALUES],
}


@pytest.mark.parametrize("name", TEXTS)
def test_numbers_in_texts_are_numbers(name):
    sign = -1 if name == "signs" else 1
    kind, numbers = find(TEXTS[name])
    assert kind in ("skewed", "number")
    table = pd.DataFrame({"x": Y > 0, "own": TEXTS[name]})
    found = Preparation().fit(table)
    restored = found.inverse_transform(found.transform(table))["own"]
    np.testing.assert_allclose(restored, sign * VALUES, rtol=1e-9)


@pytest.mark.parametrize(
    "texts",
    [
        ["01234", "50667", "80331"],
        ["007", "008", "011"],
        ["1E5", "2E3", "7E1"],
        ["12.03.2024", "13.04.2024"],
        ["+49 170 1234567", "+49 171 2345678"],
        ["1", "2", "10 or more"],
        ["1.2.3", "1.2.4"],
        ["$1,200.50", "$80.00"],
        ["3,5", "2,5"],
        ["12 %", "7 %"],
    ],
    ids=str,
)
def test_codes_stay_texts(texts):
    assert find(RNG.choice(texts, N))[0] in ("category", "binary")


def test_texts_among_numbers_are_missing_and_said():
    texts = TEXTS["plain"].copy()
    texts[3] = "on request"
    with pytest.warns(UserWarning, match=r"'own' has .* 1 values .*'on request'.*'category'"):
        kind, numbers = find(texts)
    assert kind in ("skewed", "number")
    assert np.isfinite(numbers).all()  # filled
    texts[:9] = ["on request"] * 9
    assert find(texts)[0] in ("category", "out")
    with pytest.warns(UserWarning, match="9 values"):
        assert find(texts, {"own": "number"})[0] == "number"


# ---- dates

DATES = {
    "days": DAYS,
    "times": TIMES,
    "zones": TIMES.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "spans": pd.Series(pd.to_timedelta(COUNTS, unit="s")),
    "two": pd.Series(DAYS).where(Y == 0, pd.Timestamp(0)).where(Y == 1, pd.Timestamp(1e18)),
}
OBJECTS = {
    "dates": [day.date() for day in DAYS],
    "times": [own.to_pydatetime() for own in TIMES],
    "stamps": TIMES.tolist(),
    "ISO days": [str(day.date()) for day in DAYS],
    "ISO times": [own.isoformat() for own in TIMES],
}


@pytest.mark.parametrize("name", DATES)
def test_dates_come_back_in_their_type(name):
    table = pd.DataFrame({"x": RNG.normal(8 * Y), "own": DATES[name]})
    found = Preparation().fit(table)
    assert found.kinds_["own"] == "date"
    restored = found.inverse_transform(found.transform(table))["own"]
    pd.testing.assert_series_equal(restored, table["own"])


@pytest.mark.parametrize("name", OBJECTS)
def test_dates_in_objects_and_texts_are_dates(name):
    column = pd.Series(OBJECTS[name], dtype=object)
    column[5] = None
    is_day = name in ("dates", "ISO days")
    typed = pd.Series(DAYS if is_day else TIMES, copy=True)  # pandas 2 shares memory
    typed[5] = pd.NaT
    table = pd.DataFrame({"x": RNG.normal(8 * Y), "own": typed})
    expected = Preparation().fit_transform(table)
    for kinds in ("auto", {1: "date"}):
        found = Preparation(kinds)
        np.testing.assert_allclose(found.fit_transform(table.assign(own=column)), expected)
        assert found.kinds_["own"] == "date"
    array = table.assign(own=column).to_numpy(dtype=object)
    found = Preparation()
    np.testing.assert_allclose(found.fit_transform(array), expected)
    assert found.inverse_transform(expected)[0, 1] == typed[0]


def test_arrays_of_dates_are_dates():
    array = np.column_stack([DAYS.to_numpy(), TIMES.to_numpy()])
    found = Preparation().fit(array)
    assert set(found.kinds_.values()) == {"date"}
    restored = found.inverse_transform(found.transform(array))
    np.testing.assert_array_equal(restored.astype("M8[us]"), array)


def test_polars_has_the_same_dates():
    polars = pytest.importorskip("polars")
    times = [own.to_pydatetime() for own in TIMES]
    table = polars.DataFrame(
        {
            "x": RNG.normal(8 * Y),
            "day": [own.date() for own in times],
            "when": times,
            "span": [datetime.timedelta(seconds=int(count)) for count in COUNTS],
            "price": TEXTS["plain"],
        }
    )
    zoned = polars.col("when").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    table = table.with_columns(zone=zoned)
    found = Preparation().fit(table)
    assert [name for name, kind in found.kinds_.items() if kind == "date"] == [
        *("day", "when", "span", "zone"),
    ]
    restored = found.inverse_transform(found.transform(table))
    dates = ["day", "when", "span", "zone"]
    assert restored.select(dates).equals(table.select(dates))


def test_tables_with_dates_are_clustered_generated_and_reported():
    table = pd.DataFrame({"price": TEXTS["plain"], "joined": DAYS, "x": RNG.normal(size=N)})
    fit = NeighborClustering(2, random_state=0).fit(table)
    assert fit.preparation_.kinds_["joined"] == "date"
    assert abs(2 * (fit.labels_ == Y).mean() - 1) > 0.9
    np.testing.assert_array_equal(fit.predict(table), fit.labels_)
    report = ClusterReport.from_estimator(fit, table)
    days = pd.Series((DAYS - DAYS.min()).days)
    means = days.groupby(fit.labels_).mean()
    np.testing.assert_allclose(report.to_frame()["joined"], means)

    vae = VAEEmbedding(2, max_epochs=1, random_state=0).fit(table)
    drawn, _ = vae.sample(20)
    assert drawn["joined"].dtype == table["joined"].dtype
    assert drawn["joined"].between(DAYS.min(), DAYS.max()).all()
    assert (drawn["joined"] == drawn["joined"].dt.normalize()).all()
    holed = table.assign(joined=table["joined"].where(np.arange(N) != 4))
    filled = vae.impute(holed)["joined"]
    assert filled.notna().all()
    assert (filled == table["joined"])[np.arange(N) != 4].all()


# ---- identifiers


@pytest.mark.parametrize("first", [1, *in_full(0, 5000)])
def test_numbers_of_samples_are_identifiers(first):
    iris = load_iris(as_frame=True).data
    numbered = iris.assign(id=np.random.default_rng(0).permutation(150) + first)
    expected = NeighborClustering(3, random_state=0).fit(iris)
    found = NeighborClustering(3, random_state=0).fit(numbered)
    assert found.preparation_.kinds_["id"] == "out"
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    assert Preparation().fit(numbered.to_numpy()).kinds_[4] != "out"
    assert Preparation({"id": "number"}).fit(numbered).kinds_["id"] == "number"


@pytest.mark.parametrize("n", [N, 80])
def test_years_and_ages_are_no_identifiers(n):
    column = 1900 + np.arange(N) % n if n < N else 2 * np.arange(N)
    assert find(column)[0] == "number"


def test_categories_repeat_and_names_do_not():
    table = pd.DataFrame({"x": RNG.normal(size=N), "city": np.repeat([*"abcdefghijklmnop"], 10)})
    table["name"] = [f"customer {i}" for i in range(N)]
    assert Preparation().fit(table).kinds_ == {"x": "number", "city": "category", "name": "out"}


# ---- names and errors


def test_a_name_that_is_a_column_comes_before_a_position():
    table = pd.DataFrame({1: RNG.normal(8 * Y), 0: np.where(Y, "a", "b"), 2: RNG.normal(size=N)})
    found = Preparation({1: "out"}).fit(table)
    assert found.kinds_ == {1: "out", 0: "category", 2: "number"}
    assert "1 left out (1)" in found.describe()


def test_categories_without_order_are_not_ordinal():
    sizes = pd.Categorical(np.where(Y, "small", "large"))
    with pytest.raises(ValueError, match="its texts have no order"):
        find(sizes, {"own": "ordinal"})


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.ones((2, 2))], ids=str)
def test_columns_that_cannot_be_read_are_named(value):
    with pytest.raises(ValueError, match=r"(?s)column 'own' has .*astype\(str\)"):
        find([value] * N)
    assert find([value] * N, {"own": "out"})[0] == "out"


def test_values_that_cannot_be_read_later_are_named():
    table = pd.DataFrame({"x": VALUES, "z": RNG.normal(size=N), "city": np.where(Y, "a", "b")})
    fit = NeighborClustering(2, random_state=0).fit(table)
    new = table.head(3).astype({"z": object})
    new.loc[1, "z"] = "tall"
    with pytest.raises(ValueError, match="'z' of X is not numeric.*'tall'"):
        fit.predict(new)
    new.loc[1, "z"] = pd.NA
    assert np.isfinite(fit.predict_proba(new)).all()
    with pytest.raises(ValueError, match="infinity .* in column 'x'"):
        NeighborClustering(2).fit(table.replace({"x": {VALUES[3]: np.inf}}))

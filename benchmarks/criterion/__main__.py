"""Draw data sets, fit the criterion that scores partitions, and write it into the package.

    python -m benchmarks.criterion --jobs 2
    python -m benchmarks.criterion --leave-one-out

Every kind of ``draw.py`` is drawn with every seed, as often as WEIGHTS says, scored with and
without features, and kept in ``build/criterion``. Gradient boosting learns the adjusted Rand index
with the known clusters from the package's features of candidates with many numbers of clusters,
and whether there is a single cluster. The criterion is written to
``skdeepcluster/partition/criterion/criterion.npz``, and what each feature is worth to
``results/criterion.json``. ``--leave-one-out`` scores kinds by trees that have not seen them,
and writes nothing.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sklearn
from joblib import Parallel, delayed

from skdeepcluster.partition.criterion import learned

from ..lib.options import parse, parse_seeds
from .evaluate import leave_kinds_out, measure_gains, score_out_of_fold
from .measure import (
    ONE_WEIGHTS,
    WEIGHTS,
    Measure,
    Summary,
    measure_one,
    measure_partitions,
    measure_seed,
)
from .train import FRESH, UNCALIBRATED, calibrate, fit_folds, fit_one, fit_scores, write

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "benchmarks" / "results" / "criterion.json"
#: Offset of the seeds of the data sets of one cluster or several.
OTHER = 50_000


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.criterion",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument("--seeds", default="0-7", help="as 0-9 or 3 (%(default)s)")
    parser.add_argument("--one-seeds", default="0-7", help="of one or several clusters")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--calibration-seeds", default="0-4", help="(%(default)s)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "criterion")
    parser.add_argument("--leave-one-out", action="store_true")
    readers = {"one_seeds": parse_seeds, "calibration_seeds": parse_seeds}
    options: argparse.Namespace = parse(parser, arguments, **readers)
    return options


def main(options: argparse.Namespace) -> None:
    """Draw, fit and write, or score kinds left out."""
    options.folder.mkdir(parents=True, exist_ok=True)
    records = measure_all(options, options.seeds, measure_partitions, WEIGHTS)
    if options.leave_one_out:
        leave_kinds_out(records)
        return

    seeds = [OTHER + seed for seed in options.one_seeds]
    others = measure_all(options, seeds, measure_one, ONE_WEIGHTS)
    folds = fit_folds(records)
    forests = fit_scores(records)
    summaries = [record.summary for record in records]
    forests["one"] = fit_one([*summaries, *others], folds)
    provenance = describe_training(options, summaries, others)
    # The calibration scores partitions by these trees.
    write(forests, UNCALIBRATED, provenance)
    coefficients = calibrate(options.calibration_seeds)
    write(forests, coefficients, provenance)

    write_report(
        {
            "data sets": len(records),
            "bytes": learned.FILE.stat().st_size,
            "calibration": coefficients.tolist(),
            "scores out of fold": score_out_of_fold(records, folds),
            "choice": measure_gains(forests["choice, features"]),
        }
    )


def measure_all(
    options: argparse.Namespace,
    seeds: Sequence[int],
    measure: Measure[T],
    weights: Mapping[str, int],
) -> list[T]:
    """Return what is measured of all seeds, by several processes."""
    tasks = (
        delayed(measure_seed)(seed, options.folder, measure, weights) for seed in seeds
    )
    return [each for part in Parallel(options.jobs)(tasks) for each in part]


def describe_training(
    options: argparse.Namespace,
    summaries: Sequence[Summary],
    others: Sequence[Summary],
) -> dict[str, Any]:
    """Return what the file says of its training: seeds, numbers of data sets, versions."""

    def count(drawn: Sequence[Summary]) -> dict[str, int]:
        return dict(sorted(Counter(each.kind for each in drawn).items()))

    return {
        "scores": {"seeds": [*options.seeds], "data sets": count(summaries)},
        "one cluster": {
            "seeds": [OTHER + seed for seed in options.one_seeds],
            "data sets": count(others),
        },
        "calibration": {"seeds": [FRESH + seed for seed in options.calibration_seeds]},
        "versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__},
    }


def write_report(report: dict[str, Any]) -> None:
    """Write and print what was learned."""
    text = json.dumps(report, indent=1)
    REPORT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main(parsed())

"""CatGAN by default, its start alone, without its generator, as published, and over-clustered.

``python benchmarks/catgan_and_its_start.py --data mnist --seeds 0-4`` prints, per seed, the rows

- "default": CatGANClustering with its defaults;
- "the start alone": the partition that the same fit began with;
- "default without G": fake_weight=0: what it lacks to "default" is the generator's;
- "as published": init=None, fake_weight=1, nothing of ours;
- "K = 20" and "K = 20 as published": twice as many clusters, to be judged by "majority", the
  share of rows in clusters named after their most frequent class.

``--rows`` chooses among default (with its start), no_generator, published, over (both rows of
K = 20). ``--unbalanced 20000`` draws that many rows with shares of the classes from 2 % to 25 %.
``--settings class_prior=estimated`` changes parameters of all rows.
``--test 10000`` keeps the last rows from the fits and judges their predictions; "start_acc" and
"train_acc" then say how the rows fitted to fare. ``--pretrained FOLDER`` keeps auto-encoders
there; ``--starts METHOD`` takes the starts of that method's fits that ``single_and_ensemble.py``
kept there. No label is used but to count.
"""

import argparse
import ast
from functools import partial
from pathlib import Path

from compare import parse_seeds
from datasets import load
from pretrained import SharedPretraining, kept_start
from scipy import sparse
from seeds import NOT_TIMED, over_seeds, timed
from sklearn.utils import Bunch
from vade_and_its_start import draw

from skdeepcluster import CatGANClustering
from skdeepcluster.metrics import clustering_accuracy, majority_accuracy

PUBLISHED = {"init": None, "fake_weight": 1.0}
#: Name of the option -> (name of the row, clusters for each class, parameters).
ROWS = {
    "default": [("default", 1, {})],
    "no_generator": [("default without G", 1, {"fake_weight": 0.0})],
    "published": [("as published", 1, PUBLISHED)],
    "over": [("K = 20", 2, {}), ("K = 20 as published", 2, PUBLISHED)],
}


class CatGAN(SharedPretraining, CatGANClustering):
    """CatGANClustering whose fits with one seed share their pretraining."""


def part(data, rows):
    """Return some of the rows of the data."""
    return Bunch(**data | {"X": data.X[rows], "y": data.y[rows]})


def rows(data, seed, wanted, settings, starts=None, fitted_to=None):
    """Yield (row, labels, majority, score and seconds)."""
    known = fitted_to or data
    for name, times, further in (row for option in wanted for row in ROWS[option]):
        catgan = CatGAN(
            times * data.n_clusters,
            accept_sparse=sparse.issparse(data.X),
            random_state=seed,
            **settings | further,
        )
        if starts and times == 1 and catgan.init is not None:
            catgan.set_params(init=kept_start(CatGAN.folder, data, seed, starts))
        _, seconds = timed(catgan.fit, known.X)
        start = catgan.start_labels_
        labels = catgan.predict(data.X) if fitted_to else catgan.labels_
        measured = {
            "majority": majority_accuracy(data.y, labels),
            "score": catgan.score(data.X),
            "seconds": seconds,
        }
        if fitted_to:
            measured["train_acc"] = clustering_accuracy(known.y, catgan.labels_)
            if start is not None:
                measured["start_acc"] = clustering_accuracy(known.y, start)
        elif start is not None:
            majority = {"majority": majority_accuracy(data.y, start)}
            yield f"the start alone, {name}", start, majority | NOT_TIMED
        yield name, labels, measured


def value(text):
    """Read "name=value", the value as Python writes it, or as text."""
    name, _, written = text.partition("=")
    try:
        return name, ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return name, written


def main():
    """Run the seeds one after another, a JSON line for each row, then a summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--settings", nargs="*", type=value, default=[])
    parser.add_argument("--test", type=int, help="rows at the end that take no part in fits")
    parser.add_argument("--pretrained", type=Path, help="folder of auto-encoders and fits")
    parser.add_argument("--starts", metavar="METHOD", help="whose starts; not for K = 20")
    parser.add_argument("--unbalanced", type=int, help="draw so many rows, classes of 2 to 25 %%")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    data, size, fitted_to = load(options.data), options.unbalanced, None
    if options.pretrained:
        options.pretrained.mkdir(parents=True, exist_ok=True)
        CatGAN.folder = options.pretrained
    if options.test:
        fitted_to = part(data, slice(-options.test))
        data = part(data, slice(-options.test, None))
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: draw(data, size, seed) if size else data,
        partial(
            rows,
            wanted=options.rows,
            settings=dict(options.settings),
            starts=options.starts,
            fitted_to=fitted_to,
        ),
        options.results,
    )


if __name__ == "__main__":
    main()

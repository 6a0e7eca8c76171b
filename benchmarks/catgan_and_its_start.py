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
``--starts FOLDER`` takes the starts of the VaDE fits that ``single_and_ensemble.py --keep`` left
there. No label is used but to count.
"""

import argparse
import ast
from functools import partial
from pathlib import Path

from compare import parse_seeds
from datasets import load
from pretrained import kept_start
from scipy import sparse
from seeds import NOT_TIMED, over_seeds, timed
from vade_and_its_start import draw

from skdeepcluster import CatGANClustering
from skdeepcluster.metrics import majority_accuracy

PUBLISHED = {"init": None, "fake_weight": 1.0}
#: Name of the option -> (name of the row, clusters for each class, parameters).
ROWS = {
    "default": [("default", 1, {})],
    "no_generator": [("default without G", 1, {"fake_weight": 0.0})],
    "published": [("as published", 1, PUBLISHED)],
    "over": [("K = 20", 2, {}), ("K = 20 as published", 2, PUBLISHED)],
}


def rows(data, seed, wanted, settings, starts=None):
    """Yield (row, labels, majority, score and seconds)."""
    for name, times, further in (row for option in wanted for row in ROWS[option]):
        catgan = CatGANClustering(
            times * data.n_clusters,
            accept_sparse=sparse.issparse(data.X),
            random_state=seed,
            **settings | further,
        )
        if starts and times == 1 and catgan.init is not None:
            catgan.set_params(init=kept_start(starts, data, seed))
        _, seconds = timed(catgan.fit, data.X)
        if catgan.start_labels_ is not None:
            start = catgan.start_labels_
            majority = {"majority": majority_accuracy(data.y, start)}
            yield f"the start alone, {name}", start, majority | NOT_TIMED
        measured = {
            "majority": majority_accuracy(data.y, catgan.labels_),
            "score": catgan.score(data.X),
            "seconds": seconds,
        }
        yield name, catgan.labels_, measured


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
    parser.add_argument("--starts", type=Path, help="folder of kept fits; not for K = 20")
    parser.add_argument("--unbalanced", type=int, help="draw so many rows, classes of 2 to 25 %%")
    parser.add_argument("--results", type=Path, help="file to append JSON lines to")
    options = parser.parse_args()
    data, size = load(options.data), options.unbalanced
    over_seeds(
        parse_seeds(options.seeds),
        lambda seed: draw(data, size, seed) if size else data,
        partial(rows, wanted=options.rows, settings=dict(options.settings), starts=options.starts),
        options.results,
    )


if __name__ == "__main__":
    main()

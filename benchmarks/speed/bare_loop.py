"""Seconds of default fits, compared with bare torch loops of the same steps and networks.

    OMP_NUM_THREADS=1 python benchmarks/speed/bare_loop.py --sets iris digits

A bare loop trains copies of the fit's own networks on tensors that lie in memory, with torch's
AdamW and a scheduler, for the same number of steps, and does nothing else. "initial" are the
seconds of the search for the initial partition. "overhead" is the rest of the fit (training,
predictions, outlier scores) divided by the bare loops. All are processor seconds.
"""

import copy
import sys
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch.optim.lr_scheduler import OneCycleLR

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.methods import METHODS, NETWORKS, precision
from lib.options import chosen, parse, parser
from lib.records import described, keep, timed
from lib.sets import SETS, load_set

from skdeepcluster.deep import fit as _fit
from skdeepcluster.deep.base import ClusteringMixin
from skdeepcluster.nn.model import Batch

#: Calls a function and returns its processor seconds, too.
measured = partial(timed, clock=time.process_time)


def train_bare(model, rows, *, max_epochs, batch_size, learning_rate, augment):
    """Train a model as ``engine.loop.train`` does, without anything around the steps."""
    X = torch.from_numpy(np.ascontiguousarray(rows.X, dtype=np.float32))
    columns = {name: torch.from_numpy(column) for name, column in rows.columns.items()}
    n_batches = -(-len(X) // batch_size)
    groups = [(group, group.parameters()) for group in model.optimizer_groups()]
    optimizer = torch.optim.AdamW(model.parameters(), betas=model.betas, fused=True)
    schedule = OneCycleLR(optimizer, learning_rate, total_steps=max_epochs * n_batches + 1)
    model.train()
    for _ in range(max_epochs):
        for index in torch.randperm(len(X)).split(batch_size):
            x = X[index] if augment is None else augment(X[index])
            own = {name: column[index] for name, column in columns.items()}
            batch = Batch(x, own.pop("initial", None), own)
            for group, parameters in groups:
                optimizer.zero_grad()
                sum(group.loss(batch).values()).backward(inputs=parameters)
                optimizer.step()
            schedule.step()


def measure(method, data, seed):
    """Fit a method once, and train its networks bare; return the record."""
    trainings, seconds = [], {"initial": 0.0, "bare": 0.0}
    train, search = _fit.train, ClusteringMixin._find_initial

    def remember(model, rows, **options):
        names = ("max_epochs", "batch_size", "learning_rate", "augment")
        trainings.append((copy.deepcopy(model), rows, {name: options.get(name) for name in names}))
        return train(model, rows, **options)

    def search_timed(*arguments):
        found, own = measured(search, *arguments)
        seconds["initial"] += own
        return found

    with (
        mock.patch.object(_fit, "train", remember),
        mock.patch.object(ClusteringMixin, "_find_initial", search_timed),
    ):
        _, whole = measured(METHODS[method](data, data.n_clusters, seed).fit, data.X)
    for model, rows, options in trainings:
        seconds["bare"] += measured(partial(train_bare, model, rows, **options))[1]
    overhead = (whole - seconds["initial"]) / seconds["bare"]
    found = {"fit": whole} | seconds | {"overhead": overhead}
    return {"row": method, "seed": seed} | {name: round(own, 3) for name, own in found.items()}


def main(arguments=None):
    """Measure all networks on all sets."""
    made = parser(__doc__, seeds="3")
    made.add_argument("--sets", nargs="+", default=["iris", "digits"], help="names (%(default)s)")
    made.add_argument("--methods", nargs="+", help=f"of {', '.join(NETWORKS)} (all)")
    readers = {"sets": partial(chosen, known=tuple(SETS), option="--sets")}
    readers["methods"] = partial(chosen, known=NETWORKS)
    options = parse(made, arguments, **readers)
    for method in options.methods:
        measure(method, load_set("iris"), 0)  # imports and caches
    for data in map(load_set, options.sets):
        for method in options.methods:
            for seed in options.seeds:
                record = described(data) | measure(method, data, seed)
                keep(record, precision(method, data), options.out)


if __name__ == "__main__":
    main()

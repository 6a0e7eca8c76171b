"""From arrays to labels: seconds of a fit, stage by stage, and the accuracy they buy.

``python benchmarks/speed/fit_stages.py --data mnist --precision auto --seeds 0-2`` fits every
network method and prints, per fit, the seconds of

- "scan": looking through X once, for its range and scale;
- "pretraining": the denoising auto-encoder;
- "start": neighbour graph, layout, mixtures, clusters;
- "training": the method's own game;
- "answers": codes and labels of all rows;
- "rest": everything else.

``--set hidden_layer_sizes=(500,500) pretraining_epochs=20`` changes parameters. The threads are
those of the process (OMP_NUM_THREADS). Labels only count.
"""

import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import STAGES, precision_of
from lib.methods import METHODS, NETWORKS
from lib.options import add_precision, parse_seeds, setting
from lib.options import parser as common_parser
from lib.records import judged, keep


class Clock:
    """Seconds of stages, each without those of the stages within it."""

    def __init__(self):
        self.seconds = defaultdict(float)
        self.running = []

    def timed(self, stage, function):
        """Return the function, its time counted for the stage; training within it is its own."""

        def call(*args, **kwargs):
            nested = stage == "training" and "pretraining" in self.running
            with self.stage("pretraining" if nested else stage):
                return function(*args, **kwargs)

        return call

    @contextmanager
    def stage(self, name):
        """Count the block's time, less that of stages within."""
        before, started = sum(self.seconds.values()), time.perf_counter()
        self.running.append(name)
        try:
            yield
        finally:
            self.running.pop()
            inner = sum(self.seconds.values()) - before
            self.seconds[name] += time.perf_counter() - started - inner


@contextmanager
def watched():
    """Within the block a clock runs; yield it."""
    clock, patches = Clock(), []
    for stage, places in STAGES.items():
        for owner, name in places:
            function = getattr(owner, name)
            patches.append(
                mock.patch.object(owner, name, _as_method(clock.timed(stage, function)))
            )
    for patch in patches:
        patch.start()
    try:
        yield clock
    finally:
        for patch in patches:
            patch.stop()


def _as_method(call):
    def function(*args, **kwargs):
        return call(*args, **kwargs)

    return function


def main():
    """Fit one after another, a JSON line for each."""
    parser = common_parser(__doc__, seeds="0-2")
    parser.add_argument("--n-samples", type=int, help="a random subsample of so many rows")
    parser.add_argument("--methods", nargs="+", choices=NETWORKS, default=NETWORKS)
    add_precision(parser)
    parser.add_argument("--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    data = load(options.data, options.n_samples)
    for method in options.methods:
        for seed in parse_seeds(options.seeds):
            estimator = METHODS[method](data.n_clusters, seed, data)
            estimator.set_params(precision=options.precision, **dict(options.set))
            with watched() as clock, clock.stage("rest"):
                labels = estimator.fit_predict(data.X)
            record = {
                "row": method,
                "data": data.name,
                "n_samples": data.X.shape[0],
                "seed": seed,
                "acc": judged(data.y, labels)["acc"],
                "seconds": round(sum(clock.seconds.values()), 2),
                **{stage: round(clock.seconds[stage], 2) for stage in [*STAGES, "rest"]},
                "settings": {name: str(value) for name, value in options.set},
            }
            keep(record, precision_of(estimator, data.X), options.results)


if __name__ == "__main__":
    main()

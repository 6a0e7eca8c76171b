"""What ``compile=True`` costs and saves: seconds of the first epoch and of later ones.

``OMP_NUM_THREADS=2 python benchmarks/speed/torch_compile.py`` trains methods on MNIST with
and without ``torch.compile``, each method and network in this one process, the second way after
the first. "pays after" is the number of epochs whose savings make up for compiling; null where
compiled epochs are not faster. Needs a C++ compiler. Compilers keep what they have compiled:
set TORCHINDUCTOR_CACHE_DIR to an empty folder to see what a first run costs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import generator, seeded, train
from lib.networks import BATCH_SIZE, network_parser, networks, prepared
from lib.records import keep


def epochs(method, data, widths, n_epochs, compiled, device):
    """Train; return the seconds of every epoch, the first with what compiling takes."""
    model, rows = prepared(method, data, widths, device)
    with seeded(0):
        history, _ = train(
            model,
            rows,
            max_epochs=n_epochs,
            batch_size=BATCH_SIZE,
            learning_rate=1e-4,
            generator=generator(0),
            device=device,
            compile=compiled,
        )
    return np.array([epoch["dur"] for epoch in history])


def main():
    """Print a JSON line for each method and network."""
    parser = network_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--n-samples", type=int, default=20_000)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    data = load("mnist", options.n_samples)
    for method, sizes in networks(options):
        run = method, data, sizes, options.epochs
        plain, compiled = (epochs(*run, way, options.device) for way in (False, True))
        later, later_compiled = np.median(plain[1:]), np.median(compiled[1:])
        compiling, saved = compiled[0] - later_compiled, later - later_compiled
        record = {
            "row": method,
            "network": "-".join(map(str, sizes)),
            "n_samples": len(data.X),
            "epoch": round(float(later), 2),
            "compiled_epoch": round(float(later_compiled), 2),
            "ratio": round(float(later_compiled / later), 3),
            "compiling": round(float(compiling), 1),
            "pays_after": round(float(compiling / saved)) if saved > 0 else None,
            "epochs": options.epochs,
            "device": options.device,
        }
        keep(record, "float32", options.results)


if __name__ == "__main__":
    main()

"""A training epoch costs what a bare torch loop costs: ratios, measured in one process.

``python benchmarks/speed/training_epoch.py`` trains every network method on MNIST by the
package's loop and by a loop written out here: same model and losses, optimiser (fused AdamW, one
for each player), schedule, precision and batches from arrays. The two take turns; the ratio of
their seconds is taken for each pair of epochs. Methods with a start train with all their terms,
from an arbitrary partition: what a step costs does not depend on how good it is.
``--methods``, ``--widths 64 64``, ``--precisions float32`` narrow it down; ``--device cuda`` has
both loops run on a GPU.
"""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds lib
from lib.datasets import load
from lib.internals import Batch, forked, generator, is_bfloat16, train
from lib.networks import BATCH_SIZE, network_parser, networks, prepared
from lib.records import keep


def bare_epoch(model, rows, bfloat16, device):
    """Train an epoch as one would by hand; return its seconds, without the optimisers' making."""
    moves = []
    for player in model.players():
        own = list(player.parameters())
        optimizer = torch.optim.AdamW(own, lr=1e-4, weight_decay=0.0, fused=True)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
        moves.append((player, own, optimizer, schedule))
    model.train()
    order = np.random.default_rng(0).permutation(len(rows))
    started = time.perf_counter()
    total = 0.0
    for i in range(0, len(order), BATCH_SIZE):
        index = order[i : i + BATCH_SIZE]
        columns = {name: torch.from_numpy(c[index]) for name, c in rows.columns.items()}
        batch = Batch(torch.from_numpy(rows.X[index]), **columns).to(device)
        for player, own, optimizer, schedule in moves:
            for _ in range(player.steps):
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
                    loss = sum(player.loss(batch).values())
                loss.backward(inputs=own)
                optimizer.step()
            schedule.step()
            total += loss.item()
    return time.perf_counter() - started


def our_epoch(model, rows, bfloat16, device):
    """Train an epoch by the package's loop; return its seconds as the history has them."""
    history, _ = train(
        model,
        rows,
        max_epochs=1,
        batch_size=BATCH_SIZE,
        learning_rate=1e-4,
        generator=generator(0),
        bfloat16=bfloat16,
    )
    return history[0]["dur"]


def measured(method, data, widths, bfloat16, repeats, device):
    """Return the seconds of epochs by both loops, in turn; a pair to warm up is left out."""
    model, rows = prepared(method, data, widths, device)
    bare, ours = [], []
    for _ in range(repeats + 1):
        # Outside of the block, which has its price: there torch's functions look for a stream.
        bare.append(bare_epoch(model, rows, bfloat16, device))
        with forked(0):
            ours.append(our_epoch(model, rows, bfloat16, device))
    return np.array(bare[1:]), np.array(ours[1:])


def main():
    """Print a JSON line for each method, network and precision."""
    parser = network_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n-samples", type=int, default=20_000)
    kinds = ["float32", "bfloat16"]
    parser.add_argument("--precisions", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    options = parser.parse_args()
    data = load("mnist", options.n_samples)
    for (method, sizes), kind in itertools.product(networks(options), options.precisions):
        how = kind == "bfloat16", options.repeats, options.device
        bare, ours = measured(method, data, sizes, *how)
        ratios = ours / bare
        record = {
            "row": method,
            "network": "-".join(map(str, sizes)),
            "bare": round(float(np.median(bare)), 3),
            "ours": round(float(np.median(ours)), 3),
            "ratio": round(float(np.median(ratios)), 3),
            "ratios": [round(float(ratio), 3) for ratio in ratios],
            "n_samples": len(data.X),
            "device": options.device,
        }
        keep(record, kind, options.results)
    fast = is_bfloat16("auto", options.device)
    print(f"threads {torch.get_num_threads()}; precision='auto' is bfloat16 here: {fast}")


if __name__ == "__main__":
    main()

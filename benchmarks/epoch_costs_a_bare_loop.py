"""A training epoch costs what a bare torch loop costs: ratios, measured in one process.

``python benchmarks/epoch_costs_a_bare_loop.py`` trains the same VAE on MNIST by the package's
loop and by a loop written out here: same model, optimiser (fused AdamW), schedule, precision and
batches from an array. The two take turns; medians of the epochs' seconds are compared.
"""

import argparse
import time

import numpy as np
import torch
from datasets import load

from skdeepcluster.engine.batches import Rows
from skdeepcluster.engine.net import train
from skdeepcluster.engine.randomness import generator, seeded
from skdeepcluster.modules.autoencoder import GaussianEncoder
from skdeepcluster.modules.likelihood import Bernoulli
from skdeepcluster.modules.networks import mlp
from skdeepcluster.vae import VAE

BATCH_SIZE = 256


def model(n_features, widths, n_components=10):
    """Build the VAE."""
    return VAE(
        GaussianEncoder(mlp(n_features, 2 * n_components, widths)),
        mlp(n_components, n_features, widths[::-1]),
        Bernoulli(),
    )


def bare_epoch(vae, X, bfloat16):
    """Train an epoch as one would by hand; return its seconds, without the optimiser's making."""
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    vae.train()
    order = np.random.default_rng(0).permutation(len(X))
    started = time.perf_counter()
    total = 0.0
    for i in range(0, len(X), BATCH_SIZE):
        x = torch.from_numpy(X[order[i : i + BATCH_SIZE]])
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = sum(vae.loss(x).values())
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    return time.perf_counter() - started


def our_epoch(vae, X, bfloat16):
    """Train an epoch by the package's loop; return its seconds as the history has them."""
    history, _ = train(
        vae,
        Rows(X),
        max_epochs=1,
        batch_size=BATCH_SIZE,
        learning_rate=1e-3,
        generator=generator(0),
        bfloat16=bfloat16,
    )
    return history[0]["dur"]


def main():
    """Print a line for each network and precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--n-samples", type=int, default=20_000)
    options = parser.parse_args()
    X = load("mnist", options.n_samples).X
    for widths in ((500, 500, 2000), (64, 64)):
        medians = {}
        for bfloat16 in (False, True):
            bare, ours = [], []
            with seeded(0):
                vae = model(X.shape[1], widths)
                for _ in range(options.repeats + 1):
                    bare.append(bare_epoch(vae, X, bfloat16))
                    ours.append(our_epoch(vae, X, bfloat16))
            ratios = np.array(ours[1:]) / np.array(bare[1:])  # the first pair warms up
            medians[bfloat16] = np.median(ours[1:])
            print(
                f"{widths} {'bfloat16' if bfloat16 else 'float32'}: bare "
                f"{np.median(bare[1:]):.3f} s, ours {np.median(ours[1:]):.3f} s an epoch of "
                f"{len(X)} rows; ratio median {np.median(ratios):.3f}, all "
                f"{np.array2string(ratios, precision=3)}",
                flush=True,
            )
        print(f"{widths}: bfloat16 is {medians[False] / medians[True]:.2f} x float32's speed")
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    print(f"threads {torch.get_num_threads()}; the processor has bfloat16 arithmetic: {fast}")


if __name__ == "__main__":
    main()

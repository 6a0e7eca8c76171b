"""Claim: EM on a memory map of 4,000,000 x 50 float32 needs less than 600 MB of memory.

    python benchmarks/em_streams_a_memory_map.py

Writes the map (800 MB) to a temporary folder, fits a few iterations in a process of its own, and
prints the peak of its resident memory above that after the imports, pages of the map included,
and the seconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

D, K = 50, 10

FIT = """
import resource, sys, time, warnings
import numpy as np
from skdeepcluster import GaussianMixtureEM

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

path, n, covariance_type, iterations = sys.argv[1:]
warnings.simplefilter("ignore")
X = np.memmap(path, dtype=np.float32, mode="r", shape=(int(n), {D}))
GaussianMixtureEM(2, max_iter=1).fit(np.random.RandomState(0).randn(2000, {D}))  # lazy imports
before, begin = peak(), time.perf_counter()
mixture = GaussianMixtureEM(
    {K}, covariance_type=covariance_type, max_iter=int(iterations), tol=0, random_state=0
).fit(X)
seconds = time.perf_counter() - begin
print(f"{{covariance_type:10s}} {{mixture.n_iter_}} iterations: peak {{peak() - before:.0f}} MB, "
      f"{{seconds:.1f}} s in all, lower bound {{mixture.lower_bound_:.4f}}", flush=True)
"""


def main():
    """Print a line per covariance type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-samples", type=int, default=4_000_000)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--types", nargs="+", default=["full", "diag"])
    arguments = parser.parse_args()
    random_state = np.random.RandomState(0)
    centres = 3 * random_state.randn(K, D).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X"
        with path.open("wb") as file:
            for start in range(0, arguments.n_samples, 100_000):
                n = min(100_000, arguments.n_samples - start)
                noise = random_state.standard_normal((n, D)).astype(np.float32)
                (centres[random_state.randint(K, size=n)] + noise).tofile(file)
        for covariance_type in arguments.types:
            numbers = [str(arguments.n_samples), covariance_type, str(arguments.iterations)]
            code = FIT.format(D=D, K=K)
            command = [sys.executable, "-c", code, str(path), *numbers]
            subprocess.run(command, check=True, env=os.environ)


if __name__ == "__main__":
    main()

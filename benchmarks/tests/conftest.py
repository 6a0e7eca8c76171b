"""The packages, scripts and lib on the path, one thread, and no windows."""

import os
import sys
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path[:0] = map(str, Path(__file__).resolve().parents[1:3])

import torch

torch.set_num_threads(1)

"""Processes that train together end where one does, and draw the same random numbers."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from parallel_fits import METHODS, data, fitted

from skdeepcluster.engine import runtime
from skdeepcluster.engine.distributed import Processes
from skdeepcluster.functional import random
from skdeepcluster.functional.losses import all_rows, own_rows
from skdeepcluster.metrics import clustering_accuracy
from skdeepcluster.modules.model import Batch

SCRIPT = Path(__file__).parents[1] / "parallel_fits.py"


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Return the results of two processes that train together."""
    folder = tmp_path_factory.mktemp("parallel")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [sys.executable, *launch, SCRIPT, folder]
    env = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert run.returncode == 0, run.stderr
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(2)]


@pytest.mark.full
@pytest.mark.parametrize("name", METHODS)
def test_two_processes_end_where_one_does(processes, name):
    alone, together = fitted(name), processes[0][name]
    for one, two in zip(alone.history_, together.history_, strict=True):
        terms = set(one) - {"dur", "epoch"}
        assert terms == set(two) - {"dur", "epoch"}
        for term in terms:
            assert two[term] == pytest.approx(one[term], rel=1e-3, abs=1e-4), term
    X, _ = data()
    if name == "VAEEmbedding":  # its clusters are numbered by a search
        assert clustering_accuracy(alone.predict(X), together.predict(X)) > 0.99
    else:
        np.testing.assert_allclose(together.predict_proba(X), alone.predict_proba(X), atol=0.02)


@pytest.mark.full
@pytest.mark.parametrize("name", [*METHODS, "started"])
def test_all_processes_end_with_the_same_estimator(processes, name):
    first, second = (found[name] for found in processes)
    assert first.history_ == second.history_
    states = first.model_.state_dict(), second.model_.state_dict()
    assert list(states[0]) == list(states[1])
    for a, b in zip(*(state.values() for state in states), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.full
def test_processes_with_different_data_are_refused(processes):
    for found in processes:
        assert "same shape of X" in found["refused"]
        assert "(256, 64)" in found["refused"]
        assert "(255, 64)" in found["refused"]


@pytest.mark.full
def test_failures_of_the_main_process_fail_in_all(processes):
    assert [found["failure"] for found in processes] == ["no initial partition"] * 2


def test_a_single_process_shares_nothing():
    x = torch.randn(3, 2)
    assert all_rows(x) is x
    assert own_rows(x) is x
    assert runtime.is_main_process()
    assert runtime.broadcast_object(lambda: 7) == 7


def test_each_process_takes_a_part_of_the_batch():
    split = Processes(1, 3, torch.device("cpu"))
    whole = torch.arange(12).view(6, 2)
    assert split.own_rows(whole).tolist() == [[4, 5], [6, 7]]
    part = split.take_part(Batch(torch.arange(8))).x
    assert part.tolist() == [2, 3]
    labeled, few, *_ = split.take_part(Batch(torch.arange(8), torch.arange(2)))
    assert labeled.tolist() == [2, 3]
    assert few.tolist() == [0, 1]  # fewer than processes: all take them


@pytest.mark.parametrize("rank", [0, 1])
def test_draws_are_those_of_the_whole_batch(rank):
    split = Processes(rank, 2, torch.device("cpu"))
    weights = torch.tensor([0.2, 0.3, 0.5])

    def draws(x):
        return [
            random.randn_like(x),
            random.rand_like(x),
            torch.randn(len(x), 3),
            torch.rand(len(x), 3, device="cpu"),
            torch.randint(9, (len(x),)),
            torch.multinomial(weights, len(x), replacement=True),
            random.bernoulli(x + 0.5),
            torch.randn(2, 5),  # no batch
        ]

    torch.manual_seed(0)
    whole = draws(torch.zeros(6, 4))
    torch.manual_seed(0)
    with split.step(3):
        mine = draws(torch.zeros(3, 4))
    for all_of_them, part in zip(whole[:-1], mine[:-1], strict=True):
        torch.testing.assert_close(part, all_of_them[3 * rank : 3 * rank + 3], rtol=0, atol=0)
    torch.testing.assert_close(mine[-1], whole[-1], rtol=0, atol=0)


def test_two_stacked_batches_are_drawn_as_two():
    split = Processes(1, 2, torch.device("cpu"))
    torch.manual_seed(0)
    whole = torch.randn(12, 2)
    torch.manual_seed(0)
    with split.step(3):
        part = torch.randn(6, 2)
    torch.testing.assert_close(part, torch.cat([whole[3:6], whole[9:]]), rtol=0, atol=0)

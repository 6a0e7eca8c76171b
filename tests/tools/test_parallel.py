"""Processes that train together: each its part of a batch, all the same weights."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from parallel_fits import METHODS, data, fitted

from skdeepcluster.modules.model import Batch
from skdeepcluster.training.runtime import Process, current_process

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
@pytest.mark.parametrize("name", [*METHODS, "started"])
def test_all_processes_end_with_the_same_estimator(processes, name):
    first, second = (found[name] for found in processes)
    for one, two in zip(first.history_, second.history_, strict=True):
        assert one | {"dur": 0} == two | {"dur": 0}
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


@pytest.mark.full
def test_processes_draw_noise_of_their_own(processes):
    noises = [found["noise"] for found in processes]
    assert not torch.equal(*noises)


@pytest.mark.full
def test_two_processes_learn_what_one_does(processes):
    X, _ = data()
    alone = fitted("VaDEClustering").history_[-1]
    together = processes[0]["VaDEClustering"].history_[-1]
    for term in ("vade_reconstruction", "vade_start"):
        assert together[term] == pytest.approx(alone[term], rel=0.1, abs=0.1), term


def test_a_single_process_shares_nothing():
    alone = current_process()
    assert alone.is_main
    batch = Batch(torch.arange(8))
    assert alone.take_part(batch).x.tolist() == batch.x.tolist()
    assert alone.share(batch) is batch


def test_each_process_takes_a_part_of_the_batch():
    split = Process(1, 3, torch.device("cpu"))
    part = split.take_part(Batch(torch.arange(8))).x
    assert part.tolist() == [2, 3]
    labeled, few, *_ = split.take_part(Batch(torch.arange(8), torch.arange(2)))
    assert labeled.tolist() == [2, 3]
    assert few.tolist() == [0, 1]  # fewer than processes: all take them

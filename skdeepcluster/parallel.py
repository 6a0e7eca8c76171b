"""Data-parallel training on several processors or machines (extra ``parallel``)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from .training.runtime import Process, training_together


@contextmanager
def data_parallel() -> Iterator[Any]:
    """Distribute the training batches of all fits within the block over several processes.

    ``torchrun`` or ``accelerate launch`` starts the processes, which all run the same script on
    the same data. A single process trains as without the block.

    Yields
    ------
    state : accelerate.PartialState
        ``num_processes``, ``process_index``, ``is_main_process`` and ``wait_for_everyone()``.

    Raises
    ------
    ImportError
        If accelerate is not installed.

    See Also
    --------
    skdeepcluster.ClusterEnsemble : Fits in parallel, one process each.

    Notes
    -----
    Each process takes an equal part of every batch and drops the remainder; gradients are
    averaged. As everywhere in torch, batch normalization and losses that compare samples see only
    their process's part, and each process draws its own noise. A single process
    therefore gives other results; to keep parts large, raise ``batch_size``.

    Only the training of networks is parallel: the main process finds the initial partition of the
    samples and sends it to the others. After a fit every process has the same estimator; save it
    in one of them. A checkpoint resumes with other noise. With ``device="auto"`` each process has
    its own GPU if there are GPUs.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VaDEClustering
    >>> from skdeepcluster.parallel import data_parallel
    >>> with data_parallel() as state:  # a single process
    ...     vade = VaDEClustering(3, random_state=0).fit(load_iris().data)
    >>> state.num_processes
    1

    In a file ``fit.py``, started by ``torchrun --nproc_per_node 2 fit.py``::

        with data_parallel() as state:
            vade = VaDEClustering(10, random_state=0).fit(X)
        if state.is_main_process:
            skdeepcluster.persistence.save(vade, "vade.skops")
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            "data_parallel needs accelerate: pip install accelerate."
        ) from error
    state = PartialState(cpu=not torch.cuda.is_available())
    process = Process(state.process_index, state.num_processes, state.device)
    with training_together(process) if process.n > 1 else nullcontext():
        yield state

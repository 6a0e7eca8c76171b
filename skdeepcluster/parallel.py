"""Data-parallel training on several processors or machines.

Needs the extra ``parallel``.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from .engine.distributed import Processes
from .engine.runtime import training_together


@contextmanager
def data_parallel() -> Iterator[Any]:
    """Distribute the batches of all trainings within the block over several processes.

    The processes are those that ``torchrun`` or ``accelerate launch`` started; all of them run the
    same script on the same data. A single process trains as without the block.

    Yields
    ------
    state : accelerate.PartialState
        ``num_processes``, ``process_index``, ``is_main_process`` and ``wait_for_everyone()``.

    Raises
    ------
    ImportError
        When accelerate is not installed.

    See Also
    --------
    skdeepcluster.ClusterEnsemble : Fits in parallel, each in one process.

    Notes
    -----
    A step is that of one process with the same ``batch_size``, up to rounding: every process takes
    an equal part of the batch, gradients are averaged, random numbers are drawn as for the whole
    batch, and batch normalisation and losses that compare rows use all rows of the batch. The
    remainder of the division of a batch is left out of the step; a batch with fewer rows than
    there are processes is processed by all. Random numbers of networks of your own are those of
    the whole batch if ``torch.randn_like`` or ``torch.rand_like`` draws them; dropout drops the
    same units in every part.

    The initialisation of a fit and the mixtures on codes are not parallel: the main process
    computes them and broadcasts the result. After a fit every process has the same estimator; save
    it in one of them. With ``device="auto"`` each process has a GPU of its own, if there are GPUs.

    Methods without networks are fitted by each process alone.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeepcluster import VaDEClustering
    >>> from skdeepcluster.parallel import data_parallel
    >>> with data_parallel() as state:  # alone, as without the block
    ...     vade = VaDEClustering(3, random_state=0).fit(load_iris().data)
    >>> state.num_processes
    1

    In a file ``fit.py``, started by ``torchrun --nproc_per_node 2 fit.py``::

        import joblib
        from skdeepcluster import VaDEClustering
        from skdeepcluster.parallel import data_parallel

        with data_parallel() as state:
            vade = VaDEClustering(10, random_state=0).fit(X)
        if state.is_main_process:
            joblib.dump(vade, "vade.joblib")
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError("data_parallel needs accelerate: pip install accelerate.") from error
    state = PartialState(cpu=not torch.cuda.is_available())
    processes = Processes(state.process_index, state.num_processes, state.device)
    with training_together(processes) if state.num_processes > 1 else nullcontext():
        yield state

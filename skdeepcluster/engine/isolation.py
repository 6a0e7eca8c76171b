"""Computations that neither depend on global settings of torch and numpy nor change them.

Random numbers come from a :class:`~skdeepcluster.functional.random.Stream`. Gradients, inference
mode, autocast, the default dtype and device, and numpy's treatment of floating-point errors are
what they are by default.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ..functional.random import Stream, current_stream, drawing_from, rand_like
from ..modules.networks import ACTIVATIONS

#: Functions that make tensors of the default dtype.
MAKE_FLOATS = {
    *(torch.empty, torch.zeros, torch.ones, torch.eye, torch.linspace, torch.logspace),
    *(torch.rand, torch.randn, torch.normal),
}
#: Functions that make tensors of a dtype that depends on the values they are given.
MAKE_BY_VALUE = {torch.tensor, torch.as_tensor, torch.full, torch.arange, torch.scalar_tensor}
#: Functions that make tensors of integers.
MAKE_INTEGERS = {torch.randint, torch.randperm}
#: Functions that make tensors on the default device.
MAKE = MAKE_FLOATS | MAKE_BY_VALUE | MAKE_INTEGERS
#: Functions that draw random numbers by a generator.
DRAW = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli),
    *(torch.multinomial, torch.poisson, torch.binomial, Tensor.bernoulli, Tensor.multinomial),
    *(Tensor.normal_, Tensor.uniform_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_),
    *(Tensor.log_normal_, Tensor.cauchy_, Tensor.geometric_),
}
#: Functions that draw random numbers of the shape of a tensor: those that take a shape.
DRAW_LIKE: dict[Any, Callable[..., Tensor]] = {
    torch.randn_like: torch.randn,
    torch.rand_like: torch.rand,
}
#: Functions that draw random numbers, but take no generator.
DRAW_UNGUIDED = {
    *(torch.dropout_, torch.feature_dropout, torch.feature_dropout_, torch.alpha_dropout),
    *(torch.alpha_dropout_, torch.feature_alpha_dropout, torch.feature_alpha_dropout_),
    *(torch.rrelu, torch.rrelu_, torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu),
    *(functional.dropout1d, functional.dropout2d, functional.dropout3d, functional.rrelu),
    *(functional.alpha_dropout, functional.feature_alpha_dropout, functional.gumbel_softmax),
    *(functional.fractional_max_pool2d_with_indices, functional.multi_head_attention_forward),
    *(functional.fractional_max_pool3d_with_indices, functional.scaled_dot_product_attention),
    torch.randint_like,
}
#: Files of torch.nn.modules whose modules draw no random numbers.
DETERMINISTIC = {"linear", "conv", "batchnorm", "normalization", "container", "flatten"}

#: Held while torch's own stream is borrowed.
_own_stream_lock = threading.Lock()
_is_isolated: ContextVar[bool] = ContextVar("is_isolated", default=False)


@contextmanager
def isolated() -> Iterator[None]:
    """Within the block, and in this thread only, settings of torch and numpy are the default ones.

    They include the default dtype and device of what any code in the block makes.
    """
    if _is_isolated.get():
        yield
        return
    token = _is_isolated.set(True)
    try:
        with ExitStack() as stack:
            stack.enter_context(
                np.errstate(divide="warn", over="warn", under="ignore", invalid="warn")
            )
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
                stack.enter_context(torch.autocast(device, enabled=False))
            stack.enter_context(_Defaults())
            yield
    finally:
        _is_isolated.reset(token)


@contextmanager
def seeded(seed: int) -> Iterator[Stream]:
    """Within an :func:`isolated` block, random numbers of torch come from a stream of this seed.

    That holds for all code in the block, such as the user's networks, but for no other thread.
    """
    with isolated(), drawing_from(Stream(seed)) as stream:
        yield stream


def is_explicit(model: nn.Module, augment: Any = None) -> bool:
    """Return whether all modules say where tensors are made and random numbers come from.

    These are the package's own, and those of torch without random numbers; and so does the
    augmentation, if it is the package's own.
    """
    known = {type(make()) for make in ACTIVATIONS.values()} | {type(None)}
    kinds = {type(augment), *map(type, model.modules())}
    for kind in kinds - known:
        package, _, path = kind.__module__.partition(".")
        if package == "torch" and path.removeprefix("nn.modules.") in DETERMINISTIC:
            continue
        if package != __package__.partition(".")[0]:
            return False
    return True


def without_overrides(are_needless: bool = True) -> AbstractContextManager[Any]:
    """Return a context in which torch's functions are called without a look at their arguments.

    That saves a microsecond of each call, and makes no difference to an explicit model, see
    :func:`is_explicit`.
    """
    return torch._C.DisableTorchFunction() if are_needless else nullcontext()


class _Defaults(TorchFunctionMode):
    """Functions of torch make float32 on the CPU by default, and draw from the current stream."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if given is None and func in MAKE:
            kwargs["device"] = kwargs.get("device") or "cpu"
            if func in MAKE_FLOATS:
                kwargs["dtype"] = kwargs.get("dtype") or torch.float32
        if given is not None and func in MAKE_BY_VALUE:
            kwargs["device"] = kwargs.get("device") or given.device
        device = given.device if given is not None else torch.device(kwargs.get("device") or "cpu")
        if current_stream() is not None and device.type != "meta":
            return self._draw(func, args, kwargs, device)
        return self._make(func, args, kwargs)

    def _make(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function; what it makes of Python's numbers is float32."""
        made = func(*args, **kwargs)
        if func in MAKE_BY_VALUE and kwargs.get("dtype") is None:
            place, name = (-1, "fill_value") if func is torch.full else (0, "data")
            has_dtype = hasattr(kwargs.get(name, args[place] if args else None), "dtype")
            if made.is_floating_point() and not has_dtype:
                made = made.to(torch.float32)
        return made

    def _draw(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], device: torch.device
    ) -> Any:
        """Call a function; the random numbers it may draw come from the current stream."""
        stream = current_stream()
        assert stream is not None
        if func in DRAW_LIKE:
            x = args[0] if args else kwargs.pop("input")
            own = {"dtype": x.dtype, "device": device} | kwargs
            own.pop("memory_format", None)
            return DRAW_LIKE[func](x.shape, **own, generator=stream.on(own["device"]))
        if func is functional.dropout or func is torch.dropout:
            return _drop_out(*args, **kwargs)
        if func in DRAW_UNGUIDED:
            with _borrowed_stream(stream, device):
                return func(*args, **kwargs)
        # Functions of torch.nn.init pass the generator that they were called with.
        if kwargs.get("generator") is None and (func in DRAW or "generator" in kwargs):
            kwargs["generator"] = stream.on(device)
        return self._make(func, args, kwargs)


def _drop_out(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Set each element to zero with probability ``p``, and scale the others by 1 / (1 - p)."""
    if not training or p == 0:
        return x
    kept = (rand_like(x) >= p).to(x.dtype) / max(1 - p, torch.finfo(x.dtype).tiny)
    return x.mul_(kept) if inplace else x * kept


@contextmanager
def _borrowed_stream(stream: Stream, device: torch.device) -> Iterator[None]:
    """Within the block torch's own stream starts from a number that another stream draws.

    Afterwards it is what it was. One thread at a time has it.
    """
    seed = int(torch.randint(2**31, (), generator=stream.on("cpu"), device="cpu"))
    devices = [device] if device.type == "cuda" else []
    with _own_stream_lock, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for gpu in devices:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield

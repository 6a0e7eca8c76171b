"""Where and how precisely to compute."""

import torch

from .parallel import current


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn "auto" into the GPU if there is one, else the CPU; check any other name.

    Of several processes each has a GPU of its own by "auto".
    """
    processes = current()
    if device == "auto" and processes is not None:
        return processes.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f"device={device!r} is not a device of torch. Use 'auto', 'cpu' or 'cuda'."
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device={str(device)!r}, but torch finds no CUDA GPU. Use device='auto' or 'cpu'."
        )
    return resolved


def use_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether to train in bfloat16: "auto" says yes where the hardware is fast at it.

    A processor is with AMX tiles; with AVX-512's dot product alone it may be slower than in
    float32.
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()

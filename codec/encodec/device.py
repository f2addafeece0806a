"""The device that a command computes on."""

from __future__ import annotations

import os

import torch

from earmark.codec.errors import UserError


def choose_device(name: str | None, launched: bool = False) -> torch.device:
    """The device that the option --device names; for None a GPU if there is one, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps".
        launched: whether torchrun started this process, which then gets the GPU of its rank.

    Raises:
        UserError: no such device, or more processes than GPUs.
    """
    device = _parse_device(name or ("cuda" if torch.cuda.is_available() else "cpu"), launched)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # or else tensors made for plain "cuda" would go to the first GPU
    return device


def _parse_device(name: str, launched: bool) -> torch.device:
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        unknown = str(error).startswith("Expected one of")  # torch lists names that are no use here
        reason = "no such device" if unknown else str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}; write cpu, or cuda if there is a GPU") from error
    if device.type != "cuda":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if launched and device.index is not None:
        raise UserError(f"--device {name}: torchrun gives each process a GPU of its own; write cuda")
    index = int(os.environ["LOCAL_RANK"]) if launched else device.index or 0
    if launched and index >= count:
        processes = os.environ.get("LOCAL_WORLD_SIZE", "too many")
        raise UserError(f"torchrun: {processes} processes here, but {count} GPU(s); lower --nproc-per-node to that")
    if index >= count:
        raise UserError(f"--device {name}: PyTorch finds {count} GPU(s) here; write cpu, or one of them")
    return torch.device("cuda", index)

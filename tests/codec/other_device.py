"""A device for tests on machines without a GPU: tensors on it refuse what CUDA tensors refuse."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda", 0)


class OnDevice(Tensor):
    """A tensor that claims to be on DEVICE; its values are in main memory."""


class OtherDevice(TorchFunctionMode):
    """Inside `with OtherDevice():` PyTorch treats `OnDevice` tensors as tensors of another device than the CPU's.

    They mix with no CPU tensor, and have no `numpy()`; `to` and `cpu` copy between the devices.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        here = any(isinstance(tensor, OnDevice) for tensor in tensors)
        if func == Tensor.device.__get__:
            return DEVICE if here else func(*args)
        if func is Tensor.numpy and here:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        target = torch.device("cpu") if func is Tensor.cpu else kwargs.pop("device", None)
        if func is Tensor.to:
            devices = [arg for arg in args[1:] if isinstance(arg, (torch.device, str))]
            args = tuple(arg for arg in args if not isinstance(arg, (torch.device, str)))
            target = devices[0] if devices else target
            if len(args) == 1 and not kwargs:
                func, args = Tensor.clone, args[:1]
        elif here and any(not isinstance(tensor, OnDevice) and tensor.ndim for tensor in tensors):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device")
        if target is not None:
            here = torch.device(target).type == DEVICE.type
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*_plain(args), **_plain(kwargs))
            result = [*result] if func is Tensor.__iter__ else result
        result = tree_map(lambda leaf: _converted(leaf, here), result)
        return iter(result) if func is Tensor.__iter__ else result


def _plain(tree: Any) -> Any:
    return tree_map(lambda leaf: leaf.as_subclass(Tensor) if isinstance(leaf, OnDevice) else leaf, tree)


def _converted(leaf: Any, here: bool) -> Any:
    return leaf.as_subclass(OnDevice if here else Tensor) if isinstance(leaf, Tensor) else leaf


def moved(model: nn.Module) -> nn.Module:
    """Put the weights of a model on the device."""
    for module in model.modules():
        for name, parameter in [*module.named_parameters(recurse=False)]:
            setattr(module, name, nn.Parameter(parameter.data.as_subclass(OnDevice), requires_grad=False))
        for name, buffer in [*module.named_buffers(recurse=False)]:
            setattr(module, name, buffer.as_subclass(OnDevice))
    return model

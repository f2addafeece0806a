"""Loading EnCodec models from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.codec.errors import UserError
from earmark.codec.extras import require

if TYPE_CHECKING:
    from earmark.codec.encodec.model import EncodecModel


def load_model(source: str | Path = "encodec_24khz", *, official: bool = False, device: str = "cpu") -> EncodecModel:
    """Load an EnCodec model for inference.

    Args:
        source: name of a model, "encodec_24khz" or "encodec_48khz", or a checkpoint file. A name stands for the weights
            in the package or, if there are none, for the official ones.
        official: load the official weights of the named model, which `earmark download NAME` fetches.
        device: where the model computes, e.g. "cpu", "cuda", "cuda:1".

    Returns:
        The model in evaluation mode, with `encode`, `decode` and `config`.

    Raises:
        UserError: if PyTorch is not installed, the checkpoint is missing, damaged or not of an EnCodec model, or there
            is no such device.

    Examples:
        >>> model = earmark.load_model("encodec_24khz")
        >>> codes = model.encode(audio, kbps=6)  # audio: float32 [1, time] at 24 kHz
        >>> decoded = model.decode(codes)
    """
    require("torch", "safetensors", extra="encodec", for_="load_model")
    from earmark.codec.checkpoints import loading
    from earmark.codec.checkpoints.downloads import cached

    model = loading.load(cached(str(source)) if official else source)
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # PyTorch raises the second one if it was built without CUDA
        reason = str(error).splitlines()[0]
        raise UserError(f"load_model: device={device!r}: {reason}; use 'cpu', or 'cuda' if there is a GPU") from error

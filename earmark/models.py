"""Loading EnCodec models from Python, and coding with them to the bytes of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from earmark.codec.errors import UserError
from earmark.codec.extras import require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from earmark.codec.ecdc.segment_coders import SegmentCoder
    from earmark.codec.encodec.model import EncodecModel


def load_model(
    source: str | Path = "encodec_24khz",
    *,
    official: bool = False,
    device: str = "cpu",
    precision: Literal["float32", "bfloat16", "auto"] = "float32",
) -> EncodecModel:
    """Load an EnCodec model for inference.

    On the CPU its layers are the accelerated ones, which are about twice as fast. They need no further care: after
    `requires_grad_()`, while gradients are recorded, and on another device, the plain layers compute with the same
    weights.

    Args:
        source: name of a model, "encodec_24khz" or "encodec_48khz", which stands for the weights in the package or, if
            there are none, for the official ones; a checkpoint file of Earmark, the public EnCodec or audiocraft; a
            Hugging Face folder; or a name on the hub that `earmark download` fetched, as "facebook/encodec_32khz".
        official: load the official weights of the named model, which `earmark download NAME` fetches.
        device: where the model computes, e.g. "cpu", "cuda", "cuda:1", "mps".
        precision: "bfloat16" computes faster and less exactly, so that some codes differ; it needs a processor with
            instructions for it. "auto" chooses it where the processor has them.

    Returns:
        The model in evaluation mode, with `encode`, `decode` and `config`.

    Raises:
        UserError: if PyTorch is not installed, the checkpoint is missing, damaged or not of an EnCodec model, there is
            no such device, or the device does not compute in the precision.

    Examples:
        >>> model = earmark.load_model("encodec_24khz")
        >>> codes = model.encode(audio, kbps=6)  # audio: float32 [1, time] at 24 kHz
        >>> decoded = model.decode(codes)
    """
    require("torch", "safetensors", extra="encodec", for_="load_model")
    from earmark.codec.checkpoints import loading
    from earmark.codec.checkpoints.downloads import cached
    from earmark.codec.encodec.fast.accelerate import set_precision

    model = loading.load(cached(str(source)) if official else source)
    try:
        model.to(device)
    except (RuntimeError, AssertionError) as error:  # PyTorch raises the second one if it was built without CUDA
        reason = str(error).splitlines()[0]
        raise UserError(f"load_model: device={device!r}: {reason}; use 'cpu', or 'cuda' if there is a GPU") from error
    set_precision(model, precision)
    return model


def compress(
    model: EncodecModel,
    audio: Tensor | NDArray[np.float32],
    kbps: float | None = None,
    *,
    lm: bool | str | Path = False,
) -> bytes:
    """Code one signal to the bytes of an .ecdc file, as `earmark encode` does.

    Args:
        model: the model that codes; the file contains the identity of its encoder and codebooks.
        audio: float32 [channels, time] at the model's sample rate, full scale at +-1.
        kbps: one of the model's bit rates; default: the highest.
        lm: store the same codes in fewer bits, by the language model of the weights or of a file.

    Returns:
        Contents of the file. Write them to a file that ends in .ecdc, or decode them by `decompress`.

    Raises:
        UserError: see `EncodecModel.encode`; no language model is known for the weights.
    """
    from earmark.codec.ecdc.compress import compress as compressed

    return compressed(model, audio, kbps, coder=_coder(model, lm) if lm is not False else None)


def decompress(model: EncodecModel, data: bytes, *, lm: bool | str | Path = True) -> Tensor:
    """Decode the bytes of an .ecdc file, as `earmark decode` does.

    Args:
        model: a model with the encoder and codebooks that coded the file; its decoder may be another.
        data: contents of the file.
        lm: file of the language model; default: if the file was written with one, the one of the weights.

    Returns:
        Audio, [1, channels, time].

    Raises:
        UserError: not an .ecdc file, made with other weights, or damaged.
    """
    from earmark.codec.ecdc.compress import decompress as decompressed

    return decompressed(model, data, lambda _: _coder(model, lm))


def _coder(model: EncodecModel, lm: bool | str | Path) -> SegmentCoder:
    """Entropy coder of our file format by a language model."""
    from earmark.codec.checkpoints.downloads import language_model_for
    from earmark.codec.checkpoints.identities import accepted_identities
    from earmark.codec.language_model.files import portable_coder

    source = language_model_for(model.config.name, official=False) if isinstance(lm, bool) else Path(lm)
    return portable_coder(source, model.config, accepted_identities(model))

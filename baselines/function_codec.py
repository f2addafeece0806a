"""A codec made of a torch module or a plain function that returns decoded audio, without a bitstream of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from earmark.baselines import definition
from earmark.baselines.interface import Encoded, System
from earmark.baselines.own_codec import OwnCodec
from earmark.codec.audio import Audio
from earmark.codec.errors import UserError


class FunctionCodec:
    """Calls a function that codes and decodes at once, and states its bit rate.

    Args:
        function: a torch module, or a function of an array; see `as_codec`.
        kbps: bit rate; None if it is not known.
    """

    timed = False  # encoder and decoder cannot be told apart

    def __init__(
        self, name: str, function: Callable[..., Any], kbps: float | None, sample_rate: int, channels: int, version: str
    ) -> None:
        self.name, self.function, self.kbps = name, function, kbps
        self.sample_rate, self.channels, self.version = sample_rate, channels, version

    def encode(self, audio: Audio) -> Encoded:
        decoded = self._decoded(audio)
        if decoded.shape[0] != audio.shape[0]:
            raise UserError(
                f"{self.name}: returned an array {list(decoded.shape)} for a source {list(audio.shape)}; return "
                "[channels, time] with the same channels"
            )
        length = audio.shape[-1]
        bits = 0 if self.kbps is None else round(self.kbps * 1000 * length / self.sample_rate)
        return Encoded((decoded.tobytes(),), length, bits)

    def decode(self, encoded: Encoded) -> Audio:
        return np.frombuffer(encoded.packets[0], np.float32).reshape(self.channels, -1)

    def _decoded(self, audio: Audio) -> Audio:
        if _is_module(self.function):
            return _array(self.name, _run_module(self.function, audio))
        known = {"sample_rate": self.sample_rate, "kbps": self.kbps}
        taken = {key: value for key, value in known.items() if key in _parameters(self.function)}
        return _array(self.name, self.function(audio, **taken))


class FunctionFamily(OwnCodec):
    """The family of a `FunctionCodec`, which has one system: mine@6, or mine if its bit rate is not known."""

    def __init__(self, codec: FunctionCodec) -> None:
        super().__init__(codec.name, codec)
        self.coded = codec.kbps is not None
        if codec.kbps is not None:
            self.example = f"{self.name}@{codec.kbps:g}"
            self.rates = f"{codec.kbps:g} kbps"

    def check(self, system: System) -> None:
        if system.rate is not None and (self.nominal is None or float(system.rate) != self.nominal):
            raise UserError(f"{system.text}: it has {self.rates} alone; write {self.example}")

    @property
    def system(self) -> System:
        """The one system."""
        rate = None if self.nominal is None else f"{self.nominal:g}"
        return System(self.example, self.name, rate, {}, own=self)


def as_codec(
    function: Callable[..., Any],
    name: str,
    *,
    sample_rate: int,
    kbps: float | None = None,
    channels: int = 1,
    version: str | None = None,
) -> FunctionFamily:
    """Make a codec of a torch module or of a plain function, for `earmark.compare`.

    Its time cannot be split into encoding and decoding, so tables show no speed. It may return its delay and the
    padding of its last frame: the comparison finds the delay and removes it.

    Args:
        function: a torch module gets a tensor [1, channels, time] on its own device, in evaluation mode, and returns
            the decoded signal in this shape, as the first of several values, or as an attribute `audio_values`. Any
            other function gets a NumPy array [channels, time] in float32 and returns one, or a tensor; if it has
            parameters `sample_rate` or `kbps`, it receives them.
        name: letters, digits and underscores, beginning with a letter. The system is called name@kbps in tables.
        sample_rate: rate in Hz at which the function codes; recordings are resampled.
        kbps: bit rate, which is stated, not measured; default: unknown.
        channels: 1 or 2; a mono codec codes the channels of a stereo recording one by one.
        version: has to change whenever the results change, as a run keeps its results. Default: a hash of the function
            or module, its weights, and the values that it uses in the notebook or script that defines it.

    Returns:
        A codec for the argument `systems` of `earmark.compare`, or for `earmark.register_codec`.

    Raises:
        UserError: an argument is not valid.

    Examples:
        >>> codec = earmark.as_codec(model, "mine", sample_rate=24000, kbps=6)
        >>> run = earmark.compare("recordings/", ["opus@6", codec], out="run/", jobs=0)
    """
    if not callable(function):
        raise UserError(f"as_codec {name}: {type(function).__name__} is no function or torch module")
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or name.startswith("_"):
        raise UserError(f"as_codec {name!r}: use letters, digits and underscores, beginning with a letter")
    if not isinstance(sample_rate, int) or sample_rate <= 0:
        raise UserError(f"as_codec {name}: sample_rate={sample_rate!r} is not a rate in Hz, e.g. 24000")
    if channels not in (1, 2):
        raise UserError(f"as_codec {name}: channels={channels!r} is not 1 or 2")
    if kbps is not None and (not isinstance(kbps, int | float) or not 0 < kbps < float("inf")):
        raise UserError(f"as_codec {name}: kbps={kbps!r} is not a bit rate in kbps, e.g. 6")
    identity = version or f"definition {definition.digest(function)}, {sample_rate} Hz, {channels} ch"
    rate = None if kbps is None else float(kbps)
    return FunctionFamily(FunctionCodec(name, function, rate, sample_rate, channels, identity))


def _is_module(function: object) -> bool:
    return callable(getattr(function, "forward", None)) and callable(getattr(function, "parameters", None))


def _run_module(module: Any, audio: Audio) -> Any:
    import torch

    parameter = next(iter(module.parameters()), None)
    samples = torch.from_numpy(np.ascontiguousarray(audio))[None]
    if parameter is not None:
        samples = samples.to(parameter.device, parameter.dtype)
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            decoded = module(samples)
    finally:
        module.train(was_training)
    if hasattr(decoded, "audio_values"):  # of models of the library transformers
        decoded = decoded.audio_values
    return decoded[0] if isinstance(decoded, tuple | list) else decoded


def _array(name: str, decoded: Any) -> Audio:
    """A decoded signal as [channels, time] in float32."""
    if hasattr(decoded, "detach"):
        decoded = decoded.detach().float().cpu().numpy()
    array = np.asarray(decoded)
    if not np.issubdtype(array.dtype, np.floating):
        raise UserError(f"{name}: returned samples of type {array.dtype}; return floating-point samples within +-1")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim not in (1, 2):
        raise UserError(f"{name}: returned an array {list(array.shape)}; return [channels, time]")
    return np.ascontiguousarray(np.atleast_2d(array), np.float32)


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # of a C extension
        return ()

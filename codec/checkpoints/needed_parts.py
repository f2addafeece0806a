"""Parts of plug-ins that a model consists of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from earmark.codec import plugins
from earmark.codec.encodec.activations import BUILT_IN
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError


def plugins_of(config: EncodecConfig) -> list[str]:
    """The plug-ins that a model needs, as `plugins.origin` names them."""
    origins = [plugins.origin(kind, name) for kind, name, _ in _parts(config)]
    return list(dict.fromkeys(each for each in origins if each is not None))


def require_parts(path: Path, config: EncodecConfig, needed: str) -> None:
    """Check that the plug-ins of a checkpoint are here, before its model is made.

    Args:
        path: file of the checkpoint, for the message.
        needed: plug-ins that it names.

    Raises:
        UserError: a part is missing.
    """
    for kind, name, built_in in _parts(config):
        try:
            plugins.find(kind, name, built_in, needed[:200])
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _parts(config: EncodecConfig) -> Iterator[tuple[plugins.Kind, str, tuple[str, ...]]]:
    seanet = config.seanet
    if seanet.activation not in BUILT_IN:
        yield "activation", seanet.activation, BUILT_IN
    for name in (seanet.encoder_block, seanet.decoder_block):
        if name != "residual":
            yield "block", name, ("residual",)

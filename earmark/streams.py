"""Standard streams of terminals that lack characters: each is written as the nearest ones that exist there."""

from __future__ import annotations

import codecs
import io
from encodings import ascii as ascii_encoding

NEAREST = str.maketrans({
    "±": "+/-", "−": "-", "–": "-", "—": "-", "×": "x", "“": '"', "”": '"', "‘": "'", "’": "'", "…": "...", "↑": "^",
    "↓": "v", "→": "->", "†": "+", "‡": "=", "§": "#", "•": "*", "≥": ">=", "≤": "<=", "─": "-", "━": "-", "│": "|",
    "µ": "u", "°": " deg", "\u00a0": " ",
})  # fmt: skip
_HANDLER, _ASCII = "earmark_nearest", "earmark_ascii"


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded by its nearest characters, or question marks."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(NEAREST)
    return text.encode("ascii", "replace").decode(), error.end


def _find(name: str) -> codecs.CodecInfo | None:
    """ASCII under another name, as click writes UTF-8 to streams whose encoding is named ascii."""
    if name != _ASCII:
        return None
    info = ascii_encoding.getregentry()
    return codecs.CodecInfo(
        info.encode, info.decode, streamreader=info.streamreader, streamwriter=info.streamwriter,
        incrementalencoder=info.incrementalencoder, incrementaldecoder=info.incrementaldecoder, name=_ASCII,
    )  # fmt: skip


codecs.register(_find)
codecs.register_error(_HANDLER, _nearest)


def make_safe(stream: io.TextIOWrapper) -> None:
    """Let a stream write every text, whatever its encoding is."""
    is_ascii = codecs.lookup(stream.encoding).name == "ascii"
    stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_HANDLER)

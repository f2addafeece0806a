"""The official checkpoints: their addresses, and downloading them to the user's cache."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from earmark.codec.errors import UserError, WriteError
from earmark.codec.progress import byte_progress

OFFICIAL = "official"  # value of --checkpoint and of the option :checkpoint= that selects these
OFFICIAL_URL = "https://dl.fbaipublicfiles.com/encodec/v0/"
OFFICIAL_FILES = {  # after the dash: the first eight hexadecimal digits of the file's SHA-256
    "encodec_24khz": "encodec_24khz-d7cc33bc.th",
    "encodec_48khz": "encodec_48khz-7e698e3e.th",
    "encodec_lm_24khz": "encodec_lm_24khz-1608e3c0.th",
    "encodec_lm_48khz": "encodec_lm_48khz-7add9fc3.th",
}
# What is known of the licences; the authors of EnCodec have not said whether that of the code covers the weights.
OFFICIAL_LICENCE = "published with code under the MIT licence"
HUB_NAME = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"  # OWNER/MODEL on the Hugging Face hub
HUB_LICENCES = {
    "facebook/encodec_24khz": OFFICIAL_LICENCE,
    "facebook/encodec_48khz": OFFICIAL_LICENCE,
    "facebook/encodec_32khz": "CC BY-NC 4.0: no commercial use",  # of MusicGen
}
PART_BYTES = 1 << 18
TIMEOUT_SECONDS = 30.0


def cache_folder() -> Path:
    """$EARMARK_CACHE, else $XDG_CACHE_HOME/earmark, else ~/.cache/earmark."""
    if folder := os.environ.get("EARMARK_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder) / "earmark"
    return Path.home() / ".cache" / "earmark"


def bundled(name: str) -> Path | None:
    """The weights that come with the package, e.g. for encodec_24khz; None if there are none of this name."""
    path = Path(__file__).parents[1] / "weights" / f"{name}.safetensors"
    return path if path.is_file() else None


def language_model_for(codec: str, official: bool) -> Path:
    """The language model for a codec's official weights, or for the weights that load by default.

    Raises:
        UserError: it is an official one that is not in the user's cache.
    """
    name = codec.replace("encodec_", "encodec_lm_")
    if not official and (path := bundled(name)):
        return path
    if name not in OFFICIAL_FILES:
        raise UserError(f"{codec}: no language model is known for this model; give one made by `earmark train-lm`")
    return cached(name)


def cached(name: str) -> Path:
    """The official file `name` in the user's cache, verified by its hash.

    Raises:
        UserError: it is not in the cache, or is not the official file.
    """
    path = cache_folder() / _file_name(name)
    if not path.is_file():
        raise UserError(
            f"{name}: its official checkpoint is not on this machine; fetch it by `earmark download {name}`, "
            f"or put {OFFICIAL_URL}{path.name} at {path} by hand"
        )
    if not hash_fits(path, _hash_in_name(path)):
        raise UserError(f"{path}: damaged: its SHA-256 is not the one in its name; delete it and download it again")
    return path


def is_cached(name: str) -> bool:
    """Whether the official file `name` is in the user's cache; its hash is not checked."""
    return (cache_folder() / _file_name(name)).is_file()


def download(name: str, url: str = OFFICIAL_URL) -> Path:
    """Download the official file `name` to the user's cache, unless it is there.

    Args:
        name: one of OFFICIAL_FILES.
        url: folder of the files, ending in a slash: the official one or a mirror.

    Raises:
        UserError: no connection, an HTTP error, an interrupted transfer, or a file with another hash.
        WriteError: the cache folder cannot be written or the disk is full.
    """
    path = cache_folder() / _file_name(name)
    fetch(url + path.name, path, _hash_in_name(path))
    return path


def fetch(url: str, path: Path, sha256: str = "") -> None:
    """Download the file at `url` to `path`, unless it is there.

    An interrupted transfer leaves FILE.part behind, and the next call resumes it. The file gets its name only when it
    is complete and its hash is verified.

    Args:
        sha256: the first hexadecimal digits of the file's hash; "" if it is not known.

    Raises:
        UserError: no connection, an HTTP error, an interrupted transfer, or a file with another hash.
        WriteError: the folder cannot be written or the disk is full.
    """
    if path.is_file() and hash_fits(path, sha256):
        return
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, path)
        if not hash_fits(part, sha256):
            part.unlink()
            raise UserError(
                f"{url}: the downloaded file has another SHA-256 than {sha256[:8]}..., and was deleted; download it "
                f"again, or put the file at {path} by hand"
            )
        part.replace(path)
    except OSError as error:  # a disk error: network errors are UserErrors by now
        raise WriteError(f"{path}: cannot be written: {error.strerror or error}; is the disk full?") from error


def _file_name(name: str) -> str:
    if name not in OFFICIAL_FILES:
        raise UserError(f"{name}: no official checkpoint has this name; the names are {', '.join(OFFICIAL_FILES)}")
    return OFFICIAL_FILES[name]


def _hash_in_name(path: Path) -> str:
    """The HASH in a file name NAME-HASH.th."""
    return path.stem.rpartition("-")[2]


def hash_fits(path: Path, sha256: str) -> bool:
    """Whether the SHA-256 of a file begins with the given hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(sha256)


def _fetch(url: str, part: Path, path: Path) -> None:
    """Download the missing rest of `part`; messages suggest to put the file at `path` by hand."""
    done = part.stat().st_size if part.exists() else 0
    by_hand = f"or put the file at {path} by hand"
    response = _open(url, done, by_hand)
    if response is None:
        return
    with closing(response):
        if response.status != 206:  # the server sends the whole file instead of the rest
            done = 0
        announced = response.headers.get("Content-Length", "")
        total = done + int(announced) if announced.isdecimal() else None
        with part.open("ab" if done else "wb") as file, byte_progress(part.stem, done, total) as advance:
            for piece in _pieces(response, url, by_hand):
                file.write(piece)
                advance(len(piece))
    size = part.stat().st_size
    if total is not None and size < total:
        raise UserError(f"{url}: interrupted after {size} of {total} bytes; download it again to resume, {by_hand}")


def _open(url: str, start: int, by_hand: str) -> HTTPResponse | None:
    """Request `url` from byte `start` on; None if the file ends there."""
    headers = {"User-Agent": "earmark"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        request = urllib.request.Request(url, headers=headers)
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        raise UserError(f"{url}: the server answers {error.code} {error.reason}; try again later, {by_hand}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _broken(url, error, by_hand) from error
    return response


def _pieces(response: HTTPResponse, url: str, by_hand: str) -> Iterator[bytes]:
    try:
        while piece := response.read(PART_BYTES):
            yield piece
    except (OSError, HTTPException) as error:
        raise _broken(url, error, by_hand) from error


def _broken(url: str, error: Exception, by_hand: str) -> UserError:
    reason = str(getattr(error, "reason", error)) or type(error).__name__
    return UserError(f"{url}: no download ({reason}); check the connection and download it again, {by_hand}")

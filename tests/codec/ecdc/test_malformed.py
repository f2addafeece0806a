"""Files that are not valid .ecdc files, and files that need a language model."""

from __future__ import annotations

import hashlib
import io
import json
import struct

import numpy as np
import pytest

from earmark.codec import ecdc
from earmark.codec.ecdc.segment_coders import Entropy
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.errors import UserError

from .signals import assert_same, random_codes, read, written


def public(text: str | bytes, payload: bytes = bytes(100), length: int | None = None) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return b"ECDC\x00" + struct.pack("!I", len(raw) if length is None else length) + raw + payload


def fields(**changes) -> str:
    return json.dumps({"m": "encodec_24khz", "al": 320, "nc": 2, "lm": False} | changes)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an .ecdc file"),
        (b"RIFF" + bytes(1000), "not an .ecdc file"),
        (b"ECDC", "header is damaged"),
        (b"ECDC\x02" + bytes(100), "newer than 1"),
        (b"ECDC\x00", "truncated"),
        (public(fields(), b"", length=1 << 31), "the maximum is 4096"),
        (public(fields(), b"", length=100), "truncated"),
        (public("{" * 50), "not JSON"),
        (public('{"a":' * 700), "not JSON"),
        (public(b'{"\xff": 1}'), "not JSON"),
        (public('{"al": ' + "9" * 3900 + "}"), "lacks one of"),
        (public("{}"), "lacks one of"),
        (public(fields(al=True)), "another type"),
        (public(fields(al=None)), "another type"),
        (public(fields(al=320.0)), "another type"),
        (public(fields(al=float("nan"))), "another type"),
        (public(fields(nc="2")), "another type"),
        (public(fields(lm=0)), "another type"),
        (public(fields(m=["encodec_24khz"])), "another type"),
        (public(fields(m="encodec_96khz")), "encodec_96khz"),
        (public(fields(m="line\nbreak" * 100)), "codes of the model"),
        (public(fields(al=0)), "al is not from 1"),
        (public(fields(al=-1)), "al is not"),
        (public(fields(al=10**18)), "truncated"),
        (public(fields(al=10**30)), "al is not"),
        (public(fields(m="encodec_48khz", al=10**18)), "truncated"),
        (public(fields(nc=0)), "nc is not from 1 to 32"),
        (public(fields(nc=1000)), "nc is not from 1 to 32"),
        (public(fields(al=321), bytes(4)), "truncated: it ends in segment 1 of 1"),
        (public(fields(m="encodec_48khz"), struct.pack("!f", float("nan"))), "scale nan"),
        (public(fields(m="encodec_48khz"), struct.pack("!f", -1)), r"scale -1\.0"),
    ],
)  # fmt: skip
def test_malformed_files_are_one_line(data, reason):
    with pytest.raises(UserError, match=reason) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_bytes_after_a_public_file_are_reported():
    data = written(random_codes(ENCODEC_24KHZ, 1000), ENCODEC_24KHZ, format="reference")
    assert read(data + b"x").damage[0].what == "bytes follow after the last segment"


def test_the_error_for_a_missing_file_names_it(tmp_path):
    with pytest.raises(UserError, match=r"none\.ecdc: No such file"):
        ecdc.inspect(tmp_path / "none.ecdc")


class DigitCoder:
    """A substitute for the language model's coder: every code as 4 decimal digits."""

    identity = hashlib.sha256(b"language model").hexdigest()

    def __init__(self, entropy: Entropy) -> None:
        self.entropy = entropy

    def encode(self, codes, bits):
        return "".join(f"{code:04d}" for code in codes.T.reshape(-1)).encode()

    def decode(self, source, codebooks, steps, bits):
        for _ in range(steps):
            text = source.read(4 * codebooks)
            if len(text) < 4 * codebooks:
                raise EOFError
            yield np.array([[int(text[i : i + 4])] for i in range(0, len(text), 4)], np.uint16)

    def size(self, codebooks, steps, bits):
        return None


@pytest.mark.parametrize(
    ("format", "entropy"), [("reference", Entropy.PUBLIC_MODEL), ("earmark", Entropy.PORTABLE_MODEL)]
)
def test_a_language_models_coder_can_be_plugged_in(tmp_path, format, entropy):
    codes = random_codes(ENCODEC_48KHZ, 100000)
    coder = DigitCoder(entropy)
    data = written(codes, ENCODEC_48KHZ, format=format, language_model=True, coder=coder)
    assert_same(ecdc.read(io.BytesIO(data), coder=coder).codes, codes)
    with pytest.raises(UserError, match="the input: coded by "):
        read(data)
    path = tmp_path / "a.ecdc"
    path.write_bytes(data)
    assert ecdc.inspect(path)["kbps"] is None
    assert ecdc.inspect(path, coder=coder)["chunks"] == 3


def test_the_flag_in_the_header_is_that_of_the_reference():
    codes = random_codes(ENCODEC_24KHZ, 320)
    coder = DigitCoder(Entropy.PUBLIC_MODEL)
    data = written(codes, ENCODEC_24KHZ, format="reference", language_model=True, coder=coder)
    assert data[9:-8] == b'{"m": "encodec_24khz", "al": 320, "nc": 2, "lm": true}'


def test_a_missing_language_model_is_one_line():
    with pytest.raises(UserError, match=r"--lm: needs a language model; .* or encode without --lm$"):
        ecdc.open_writer(io.BytesIO(), ENCODEC_24KHZ, 2, language_model=True)
    with pytest.raises(UserError, match=r"the input: coded by a language model; give it by --language-model$"):
        read(public(fields(lm=True)))

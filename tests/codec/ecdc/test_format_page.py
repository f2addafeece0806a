"""A decoder of .ecdc written from docs/ecdc-format.md alone, without Earmark, reads the test vectors."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[3]
VECTORS = ROOT / "tests" / "data" / "ecdc"
LANGUAGE_MODEL = ROOT / "codec" / "weights" / "encodec_lm_24khz.safetensors"
FIXED = ("entropy", "channels", "rate", "codebooks", "bits", "hop", "segment", "stride", "scaled", "steps", "weights",
         "model", "payload_crc", "name_length")  # fmt: skip


def unpacked(payload: bytes, steps: int, head: dict[str, Any]) -> np.ndarray:
    stream, bits = int.from_bytes(payload, "little"), head["bits"]
    codes = [stream >> bits * index & (1 << bits) - 1 for index in range(steps * head["codebooks"])]
    return np.array(codes).reshape(steps, -1).T


class IntegerModel:
    """The Transformer of entropy coder 2, step by step."""

    def __init__(self, path: Path, codebooks: int) -> None:
        with safe_open(path, "numpy") as file:
            self.size = json.loads(file.metadata()["config"])
            self.w = {name: file.get_tensor(name).astype(np.int64) for name in file.keys()}  # noqa: SIM118
        self.codebooks, self.time = codebooks, 0
        zeros = np.zeros(self.size["dimension"], np.int64)
        self.past = [[self.qkv(layer, zeros)[1:]] for layer in range(self.size["layers"])]

    def product(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.w[f"{name}.weight"] @ x + self.w[f"{name}.bias"]

    def linear(self, name: str, x: np.ndarray, limit: int = 1 << 19) -> np.ndarray:
        return (self.product(name, x) * self.w[f"{name}.factor"] + (1 << 27) >> 28).clip(-limit, limit)

    def bytes(self, name: str, x: np.ndarray) -> np.ndarray:
        return (x * self.w[f"{name}.unit"] + (1 << 27) >> 28).clip(-127, 127)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        d = len(x) * x - x.sum()
        root = max(1, math.isqrt(int((d * d).sum()) // len(x)))
        return ((d * ((1 << 44) // root) >> 32) * self.w[f"{name}.gain"] >> 12) + self.w[f"{name}.offset"]

    def exponential(self, table: str, shift: str, x: np.ndarray) -> np.ndarray:
        index = (x.max(axis=1, keepdims=True) - x) >> self.w[shift][: len(x), None]
        return np.take_along_axis(self.w[table][: len(x)], index.clip(0, self.w[table].shape[1] - 1), 1)

    def qkv(self, layer: int, x: np.ndarray) -> np.ndarray:
        return self.linear(f"layers.{layer}.attend", x, 127).reshape(3, self.size["heads"], -1)

    def frequencies(self, before: list[int]) -> np.ndarray:
        embedded = sum(self.w["embedding"][k, code] for k, code in enumerate(before))
        x = self.norm("norm_in", embedded) + self.w["positions"][self.time]
        for layer, past in enumerate(self.past):
            name = f"layers.{layer}"
            q, *new = self.qkv(layer, self.bytes(f"{name}.attend", x))
            past.append(np.stack(new))
            k, v = np.stack(past[-self.size["context"] - 1 :], axis=1)
            weights = self.exponential(f"{name}.softmax.table", f"{name}.softmax.shift", np.einsum("hc,thc->ht", q, k))
            weights = weights * ((1 << 30) // weights.sum(axis=1, keepdims=True)) >> 15
            mixed = np.einsum("ht,thc->hc", weights, v) + (1 << 14) >> 15
            x = self.norm(f"{name}.norm1", x + self.linear(f"{name}.join", mixed.reshape(-1)))
            hidden = self.product(f"{name}.expand", self.bytes(f"{name}.expand", x)) * self.w[f"{name}.expand.factor"]
            index = ((hidden + (1 << 27) >> 33) + 2048).clip(0, 4095)
            hidden = self.bytes(f"{name}.contract", self.w["gelu.table"][index])
            x = self.norm(f"{name}.norm2", x + self.linear(f"{name}.contract", hidden))
        self.time += 1
        logits = self.product("head", self.bytes("head", x)).reshape(-1, self.size["entries"])[: self.codebooks]
        return self.exponential("head.table", "head.shift", logits)


def range_decoded(payload: bytes, steps: int, head: dict[str, Any]) -> np.ndarray:
    model, data = IntegerModel(LANGUAGE_MODEL, head["codebooks"]), payload + bytes(16 * steps * head["codebooks"])
    above, span, position, codes, step = int.from_bytes(data[:8]), 1 << 64, 8, [], [0] * head["codebooks"]
    for _ in range(steps):
        cumulative, step = model.frequencies(step).cumsum(axis=1), []
        for c in cumulative.tolist():
            unit = span // c[-1]
            value = min(above // unit, c[-1] - 1)
            code = next(index for index, end in enumerate(c) if end > value)
            start = c[code - 1] if code else 0
            above, span = above - unit * start, unit * (c[code] - start)
            while span < 1 << 48:
                span, above = span << 16, above << 16 | int.from_bytes(data[position : position + 2])
                position += 2
            step.append(code + 1)
        codes.append([code - 1 for code in step])
    return np.array(codes).T


def version_1(data: bytes) -> tuple[dict[str, Any], list[np.ndarray], list[float]]:
    head: dict[str, Any] = {}
    facts, codes, scales, fixed = b"", [], [], b""
    while data:
        if data[:2] == b"\xec\xdc":
            index_and_steps, size, crc = struct.unpack_from("!IHI", data, 2)
            payload, rest = data[12 : 12 + size], data[12 + size :]
            assert crc == zlib.crc32(payload, zlib.crc32(data[2:8], zlib.crc32(fixed)))
            assert index_and_steps >> 10 == len(codes)
            assert codes or zlib.crc32(payload) == head["payload_crc"]
            if head["scaled"]:
                scales.append(struct.unpack_from("!f", payload)[0])
                payload = payload[4:]
            codes.append((range_decoded if head["entropy"] else unpacked)(payload, index_and_steps & 1023, head))
            data = rest
            continue
        assert data[:5] == b"ECDC\1"
        size = int.from_bytes(data[5:7])
        record, data = data[: size + 11], data[size + 11 :]
        assert zlib.crc32(record[:-4]) == int.from_bytes(record[-4:])
        fixed, (first, digest, ends) = record[7:-21], (record[-21:-13], record[-13:-5], record[-5])
        if first[0] == 0x20:
            facts += first[2:] + digest
            continue
        head = dict(zip(FIXED, struct.unpack_from("!BBIHBHIIBH8s8sIB", fixed), strict=True)) | head
        head["name"], head["samples"] = fixed[43:].decode(), int.from_bytes(first)
        flat = b"".join(part.T.astype("<u2").tobytes() for part in codes)
        assert not ends or digest == hashlib.sha256(flat).digest()[:8]
    head["facts"] = []
    while facts and facts[0]:
        head["facts"].append((facts[0], facts[2 : 2 + facts[1]]))
        facts = facts[2 + facts[1] :]
    return head, codes if head["segment"] else [np.concatenate(codes, axis=1)], scales


def version_0(data: bytes) -> tuple[dict[str, Any], list[np.ndarray], list[float]]:
    size = int.from_bytes(data[5:9])
    fields, data = json.loads(data[9 : 9 + size]), data[9 + size :]
    wide = fields["m"] == "encodec_48khz"
    head, codes, scales = {"bits": 10, "codebooks": fields["nc"], "samples": fields["al"]}, [], []
    for start in range(0, fields["al"], 47520 if wide else fields["al"]):
        steps = -(-(min(48000, fields["al"] - start) if wide else fields["al"]) // 320)
        if wide:
            scales.append(struct.unpack_from("!f", data)[0])
            data = data[4:]
        used = -(-steps * fields["nc"] * 10 // 8)
        codes.append(unpacked(data[:used], steps, head))
        data = data[used:]
    assert not data
    return head, codes, scales


def decoded(data: bytes) -> tuple[dict[str, Any], list[np.ndarray], list[float]]:
    return (version_1 if data[4] else version_0)(data)


@pytest.mark.parametrize(
    ("name", "samples", "codebooks", "steps"),
    [
        ("short", 1000, 2, [4]),
        ("chunks", 110000, 4, [344]),
        ("segments", 100000, 2, [150, 150, 16]),  # the last one has 100,000 - 2 * 47,520 = 4960 samples
        ("language-model", 12800, 4, [40]),
        ("reference", 1000, 2, [4]),
        ("reference-segments", 100000, 2, [150, 150, 16]),
    ],
)
def test_vectors_have_the_codes_that_the_page_gives(name, samples, codebooks, steps):
    head, codes, scales = decoded((VECTORS / f"{name}.ecdc").read_bytes())
    assert (head["samples"], head["codebooks"]) == (samples, codebooks)
    assert [part.shape for part in codes] == [(codebooks, count) for count in steps]
    for segment, part in enumerate(codes):
        k, t = np.indices(part.shape)
        np.testing.assert_array_equal(part, (257 * k + 101 * t + 7 * segment) % 1024)
    expected = [0.5 / (segment + 1) for segment in range(len(steps))] if len(steps) > 1 else []
    assert scales == pytest.approx(expected)


def test_facts_of_the_vector():
    """44,100 = 0xAC44; -2304 = 0xF700; -150 = 0xFF6A."""
    facts = decoded((VECTORS / "chunks.ecdc").read_bytes())[0]["facts"]
    sha256 = bytes.fromhex("00112233445566778899aabbccddeeff" * 2)
    assert sorted(facts) == [
        (1, b"\0\0\xac\x44"), (2, b"\2"), (3, b"\xf7\0"), (4, sha256), (5, b"\xff\x6a"), (6, b"\1"),
        (7, "title=Große Fuge".encode()),
    ]  # fmt: skip


def test_the_example_of_the_page_is_the_vector():
    page = (ROOT / "docs" / "ecdc-format.md").read_text(encoding="utf-8")
    rows = re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?){1,16})(?:  .*)?$", page, re.MULTILINE)
    assert bytes.fromhex("".join(rows)) == (VECTORS / "short.ecdc").read_bytes()

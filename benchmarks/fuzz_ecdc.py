"""Fuzz test of the .ecdc reader: no crash, no hang, bounded memory, and no unnoticed damage in our format.

    python benchmarks/fuzz_ecdc.py [--count 100000] [--seed 0] [--case N]

Every case is a valid file of either format with one to three mutations: flipped bits; changed, lost, inserted and moved
bytes; whole chunks moved, doubled or taken from another file; edited headers; and forged records with a correct CRC.
A file in our format fails if it is read without reported damage and differs from the original in codes, scales or
length, or if a step that is not reported as lost differs. A forged file only must not crash the reader. Exits with
status 1 if any case fails.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import signal
import struct
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from earmark.codec import ecdc
from earmark.codec.ecdc.records import (
    CHUNK_MARKER,
    CHUNK_OVERHEAD,
    ChunkRecord,
    chunk_record,
    fixed_part,
    header_record,
)
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, EncodecConfig
from earmark.codec.errors import UserError

MEMORY = 1 << 30  # bytes
SECONDS_PER_FILE = 10

Random = np.random.Generator
Steps = dict[tuple[int, int], tuple[bytes, float | None]]  # (segment, step) -> codes, scale


@dataclass(frozen=True)
class ValidFile:
    """A valid file and its content."""

    config: EncodecConfig
    format: ecdc.Format
    data: bytes
    codes: Codes
    steps: Steps

    @property
    def chunks(self) -> list[int]:
        """Positions of the chunk records, and the end of the last one."""
        positions, at = [], self.data.find(CHUNK_MARKER)
        while self.data[at : at + 2] == CHUNK_MARKER:
            positions.append(at)
            at += CHUNK_OVERHEAD + struct.unpack_from("!H", self.data, at + 6)[0]
        return [*positions, at] if positions else []


def valid_file(
    config: EncodecConfig, format: ecdc.Format, kbps: float, samples: int, constant: bool, rng: Random
) -> ValidFile:
    """Write a file of random codes, or of a single code repeated, as silence gives."""
    segments = []
    for start, end in config.segments(samples):
        shape = (1, config.codebooks(kbps), -(-(end - start) // config.seanet.hop))
        codes = np.full(shape, 1023) if constant else rng.integers(0, config.codebook_size, shape)
        scale = torch.tensor([rng.uniform(0.01, 1)], dtype=torch.float32) if config.normalize else None
        segments.append(Segment(torch.from_numpy(codes), scale))
    coded = Codes(tuple(segments), samples)
    sink = io.BytesIO()
    ecdc.write(sink, coded, config, format=format)
    return ValidFile(config, format, sink.getvalue(), coded, steps_of(ecdc.open_reader(io.BytesIO(sink.getvalue()))))


def steps_of(reader: ecdc.PartReader) -> Steps:
    """All steps that are not lost, by segment and step."""
    steps: Steps = {}
    for part in reader:
        if not part.lost:
            for column in range(part.steps):
                steps[part.segment, part.first + column] = (part.codes[:, column].tobytes(), part.scale)
    return steps


def valid_files(rng: Random) -> list[ValidFile]:
    """Files in both formats, of both models, at low and high rates, some of which differ in their codes only."""
    files = []
    for format in ("earmark", "reference"):
        for config in (ENCODEC_24KHZ, ENCODEC_48KHZ):
            for kbps in (config.kbps[0], config.kbps[2]):
                for seconds in (0.01, 2.5, 7.3):
                    samples = round(seconds * config.sample_rate)
                    for constant in (False, False, True):
                        files.append(valid_file(config, format, kbps, samples, constant, rng))
    return files


def position(data: bytes, rng: Random) -> int:
    """Random position, more often near the start, where headers are."""
    most = len(data) if rng.random() < 0.7 else min(len(data), 100)
    return int(rng.integers(0, most + 1))


def noise(rng: Random) -> bytes:
    return rng.bytes(int(rng.choice([1, 2, 3, 12, 100, 3000])))


def flip_bits(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 30]))):
        if changed:
            changed[min(position(data, rng), len(changed) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    at, new = position(data, rng), noise(rng)
    return data[:at] + new + data[at + len(new) :]


def truncate(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    return data[: position(data, rng)]


def lose(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    at = position(data, rng)
    return data[:at] + data[at + len(noise(rng)) :]


def insert(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    at = position(data, rng)
    return data[:at] + noise(rng) + data[at:]


def move(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    """Copy a part of the file to another position, overwriting or inserting it."""
    start, at = position(data, rng), position(data, rng)
    stretch = data[start : start + len(noise(rng))]
    return data[:at] + stretch + data[at + len(stretch) * int(rng.integers(2)) :]


def splice(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    """Join the start of this file and the end of another."""
    return data[: position(data, rng)] + other.data[position(other.data, rng) :]


def append(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    return data + other.data


def shuffle_chunks(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    """Drop, double, exchange or replace whole chunks; the replacement comes from another file."""
    ends = file.chunks
    if data != file.data or len(ends) < 2:
        return flip_bits(data, file, other, rng)
    chunks = [data[a:b] for a, b in pairwise(ends)]
    which, target = rng.integers(len(chunks), size=2)
    theirs = other.chunks
    match rng.integers(4):
        case 0:
            del chunks[which]
        case 1:
            chunks.insert(target, chunks[which])
        case 2:
            chunks[which], chunks[target] = chunks[target], chunks[which]
        case _ if which + 1 < len(theirs):
            chunks[which] = other.data[theirs[which] : theirs[which + 1]]
    return data[: ends[0]] + b"".join(chunks) + data[ends[-1] :]


ABSURD = (
    "0", "-1", "1", "1000", "1e3", "1e400", "NaN", "Infinity", "true", "null", '"x"', "[]", "{}", "1000000000000000000",
    "9" * 3000, "[" * 3000, '"' + "x" * 3000 + '"', "2.5", '"\\ud800"',
)  # fmt: skip


def edit_header(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    """Put an absurd value into the public format's JSON, mostly with the correct length; or change a byte of ours."""
    if file.format == "earmark" or data != file.data:
        at = min(int(rng.integers(80)), max(0, len(data) - 1))
        return data[:at] + rng.bytes(1) + data[at + 1 :]
    length = struct.unpack_from("!I", data, 5)[0]
    fields = [f'"{key}": {json.dumps(value)}' for key, value in json.loads(data[9 : 9 + length]).items()]
    which = int(rng.integers(len(fields)))
    value = ABSURD[rng.integers(len(ABSURD))]
    if value == "1000000000000000000" and rng.random() < 0.5:
        value = str(int(rng.integers(0, 1 << 40)))
    fields[which] = f"{fields[which].split(':')[0]}: {value}"
    if rng.random() < 0.2:
        del fields[which]
    text = ("{" + ", ".join(fields) + "}").encode()
    announced = len(text) if rng.random() < 0.8 else int(rng.integers(1 << 32))
    return data[:5] + struct.pack("!I", announced) + text + data[9 + length :]


def forge(data: bytes, file: ValidFile, other: ValidFile, rng: Random) -> bytes:
    """Make a header and a chunk with absurd numbers and a correct CRC."""
    small = ecdc.open_reader(io.BytesIO(file.data)).header
    if file.format == "reference":
        return edit_header(data, file, other, rng)
    change = {
        "samples": int(rng.choice([0, 1, 10**6, 10**12, 1 << 62])),
        "codebooks": int(rng.choice([1, 32, 255, 65535])),
        "bits": int(rng.choice([1, 8, 16])),
        "hop": int(rng.choice([1, 320, 65535])),
        "steps_per_chunk": int(rng.choice([1, 150, 1023])),
        "sample_rate": int(rng.choice([1, 24000, 2**31])),
        "segment": int(rng.choice([1, 48000, 2**32 - 1])),
        "stride": int(rng.choice([1, 47520])),
        "scaled": bool(rng.integers(2)),
    }
    chosen = rng.choice(list(change), size=int(rng.integers(1, 5)), replace=False)
    header = replace(small, **{str(name): change[name] for name in chosen})
    seed = zlib.crc32(fixed_part(header))
    index, steps = int(rng.choice([0, 1, 5000, (1 << 22) - 1])), int(rng.choice([1, 150, 1023]))
    payload = bytes(4 * header.scaled) + bytes(-(-header.codebooks * steps * header.bits // 8))
    chunk = chunk_record(ChunkRecord(index, steps, payload[:65535]), seed)
    return header_record(header) + chunk + data[position(data, rng) :]


Mutation = Callable[[bytes, ValidFile, ValidFile, Random], bytes]
MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, overwrite, truncate, lose, insert, move, splice, append, shuffle_chunks, edit_header, forge,
)  # fmt: skip


class Hang(BaseException):
    """Raised if a file takes too long; not an Exception, so that no handler in between catches it."""


def hang(signum: int, frame: object) -> None:
    raise Hang


def verdict(file: ValidFile, other: ValidFile, data: bytes, forged: bool) -> str:
    """Outcome for one mutated file; it starts with "FAILED" if it must not happen."""
    if data in (file.data, other.data):
        return "unchanged"
    try:
        reader = ecdc.open_reader(io.BytesIO(data))
        header, steps = reader.header, steps_of(reader)
        damage, samples = reader.damage, reader.samples
        ecdc.read(io.BytesIO(data))
    except UserError as error:
        clear = "\n" not in str(error) and len(str(error)) <= 400
        return f"refused ({file.format})" if clear else f"FAILED: message is not one short line: {error}"
    same = steps == file.steps and samples == file.codes.samples and header.codebooks == file_codebooks(file)
    if file.format == "reference" or header.format == "reference":
        return "read correctly" if same else "read differently (the public format has no checksum)"
    if forged:
        return "survived a forged file"
    if not damage:
        return "read correctly" if same else "FAILED: damage unnoticed"
    # After a splice, the remaining header may be that of the other file.
    if steps.items() <= file.steps.items() or steps.items() <= other.steps.items():
        return "damage reported, remaining steps correct"
    return "FAILED: wrong codes among the remaining steps"


def file_codebooks(file: ValidFile) -> int:
    return int(file.codes.segments[0].codes.shape[1])


def run_case(case: int, seed: int, files: list[ValidFile]) -> tuple[str, str]:
    """Mutate and read the file of one case; returns the names of the mutations and the verdict."""
    rng = np.random.default_rng([seed, case])
    index = int(rng.integers(len(files)))
    file = files[index]
    twins = [twin for twin in files if twin.format == file.format and len(twin.data) == len(file.data)]
    pool = twins if rng.random() < 0.5 else files
    other = pool[rng.integers(len(pool))]
    chosen = [MUTATIONS[i] for i in rng.integers(len(MUTATIONS), size=int(rng.choice([1, 1, 2, 3])))]
    data = file.data
    for mutation in chosen:
        data = mutation(data, file, other, rng)
    names = "+".join(mutation.__name__ for mutation in chosen)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_FILE)
    try:
        return names, verdict(file, other, data, forge in chosen)
    except Hang:
        return names, f"FAILED: took more than {SECONDS_PER_FILE} s"
    except Exception:
        return names, "FAILED: " + traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory() -> None:
    """Limit further growth of the process to 1 GiB, so that a larger allocation fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak_memory() -> int:
    """Peak memory of this process in bytes; ru_maxrss would include the memory of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="number of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run only this case, to examine a failure")
    arguments = parser.parse_args()
    files = valid_files(np.random.default_rng(arguments.seed))
    limit_memory()
    signal.signal(signal.SIGALRM, hang)
    tally: Counter[str] = Counter()
    slowest, failures, start = 0.0, 0, time.perf_counter()
    for case in range(arguments.count) if arguments.case is None else [arguments.case]:
        before = time.perf_counter()
        names, outcome = run_case(case, arguments.seed, files)
        slowest = max(slowest, time.perf_counter() - before)
        tally[outcome.splitlines()[0] if outcome.startswith("FAILED") else outcome] += 1
        if outcome.startswith("FAILED"):
            failures += 1
            if failures <= 5:
                print(f"case {case} ({names}): {outcome}")
    for outcome, count in tally.most_common():
        print(f"{count:>8}  {outcome}")
    peak = peak_memory()
    took = time.perf_counter() - start
    print(f"{sum(tally.values())} files in {took:.0f} s, slowest {slowest:.2f} s, peak memory {peak / 2**20:.0f} MiB")
    print(f"{failures} failures")
    return int(failures > 0 or peak > MEMORY)


if __name__ == "__main__":
    sys.exit(main())

"""A stand-in for the EVS programs: their arguments, PCM, G.192 files and delays, and a code of its own.

It is for the tests alone and codes nothing as EVS does: block means, eight bits each, as many as the frame has room
for. Started as EVS_cod it encodes, as EVS_dec it decodes. It logs its arguments beside itself.
"""

import array
import sys
from pathlib import Path

SYNC, ZERO, ONE = 0x6B21, 0x007F, 0x0081
BIT_RATES = (5900, 7200, 8000, 9600, 13200, 16400, 24400, 32000, 48000, 64000, 96000, 128000)
SAMPLE_RATES = ("8", "16", "32", "48")


def delays(rate: int) -> tuple[int, int]:
    """Samples of the encoder, 9.6875 ms, and of the decoder, 2.3125 ms."""
    return int(rate * 9.6875e-3), int(rate * 2.3125e-3)


def read(path: str, kind: str) -> array.array:
    words = array.array(kind)
    words.frombytes(Path(path).read_bytes())
    return words


def encode(dtx: bool, bit_rate: int, rate: int, source: str, target: str) -> None:
    samples, frame = read(source, "h"), rate // 50
    skipped, late = delays(rate)
    if len(samples) < skipped:
        sys.exit("not enough samples")
    coded = len(samples[skipped:]) // frame  # the encoder has read ahead; a partial last frame is dropped
    delayed = array.array("h", [0] * late) + samples
    words = array.array("H")
    for start in range(0, coded * frame, frame):
        part = delayed[start : start + frame]
        bits = bit_rate // 50
        if dtx:
            bits = 0 if not any(part) else 56 if max(map(abs, part)) < 3000 else 144
        blocks = bits // 8
        words.extend((SYNC, bits))
        for block in range(blocks):
            first, last = block * frame // blocks, (block + 1) * frame // blocks
            inside = part[first:last] or part[first : first + 1]
            mean = (sum(inside) // len(inside) >> 8) + 128
            words.extend(ONE if mean >> bit & 1 else ZERO for bit in reversed(range(8)))
    Path(target).write_bytes(words.tobytes())


def decode(rate: int, source: str, target: str) -> None:
    words, frame, position = read(source, "H"), rate // 50, 0
    samples = array.array("h")
    while position < len(words):
        if words[position] != SYNC:
            sys.exit("no sync word")
        bits = words[position + 2 : position + 2 + words[position + 1]]
        position += 2 + len(bits)
        blocks = len(bits) // 8
        means = [
            sum((word == ONE) << 7 - bit for bit, word in enumerate(bits[8 * block : 8 * block + 8])) - 128
            for block in range(blocks)
        ] or [0]
        samples.extend((means[index * len(means) // frame] << 8) + 128 * bool(blocks) for index in range(frame))
    late = delays(rate)[1]
    Path(target).write_bytes((samples[late:] + array.array("h", [0] * late)).tobytes())


def main(program: str, arguments: list[str]) -> None:
    with (Path(__file__).parent / "arguments.log").open("a") as log:
        log.write(" ".join([program, *arguments]) + "\n")
    if not arguments:
        sys.exit("EVS Codec 3GPP TS26.443 Nov 04, 2021. Version 12.14.0 / 13.10.0\nUsage: ...")
    count = 4 if program == "EVS_cod" else 3
    options, mandatory = arguments[:-count], arguments[-count:]
    if not set(options) <= {"-q", "-dtx"}:
        sys.exit(f"Error: option not recognized, {options}")
    if program == "EVS_dec":
        decode(int(mandatory[0]) * 1000, *mandatory[1:])
        return
    if int(mandatory[0]) not in BIT_RATES or mandatory[1] not in SAMPLE_RATES:
        sys.exit("Error: Incorrect bitrate specification")
    if mandatory[0] == "5900" and "-dtx" not in options:
        sys.exit("Error: SC-VBR needs DTX")
    encode("-dtx" in options, int(mandatory[0]), int(mandatory[1]) * 1000, *mandatory[2:])


if __name__ == "__main__":
    main(Path(sys.argv[0]).name, sys.argv[1:])

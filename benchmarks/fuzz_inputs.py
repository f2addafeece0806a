"""Fuzz test of what strangers can send: audio headers, .ecdc files, configurations, rating tables, submitted ratings.

    python benchmarks/fuzz_inputs.py [--examples 20000] [--seed 0] [--target NAME]...

Hypothesis makes each input, from random text and bytes or from a valid file with mutations. A reader may accept it or
refuse it by a UserError of one line that a terminal can show; the server answers without an error of its own. Anything
else fails, and Hypothesis then shrinks the input and prints it. benchmarks/fuzz_ecdc.py looks for unnoticed damage.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from earmark.codec.audio import read as read_audio
from earmark.codec.ecdc.file import read as read_ecdc
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.errors import UserError
from earmark.mushra_app.building.webmushra_pages import read_configuration
from earmark.mushra_app.ratings.importers import read_ratings

LARGEST = 64_000_000  # samples that a reader may return for an input of a few kilobytes
Mutation = tuple[int, bytes]


def tolerant(action: Callable[[], object]) -> None:
    """Run a reader; a refusal must be one printable line."""
    try:
        action()
    except UserError as error:
        text = str(error)
        assert "\n" not in text, text


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    """Overwrite bytes at the given positions, modulo the length."""
    changed = bytearray(data)
    for position, new in mutations:
        start = position % (len(changed) + 1)
        changed[start : start + len(new)] = new
    return bytes(changed)


mutations = st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6)


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-inputs-"))


def _file(name: str, data: bytes) -> Path:
    path = folder() / name
    path.write_bytes(data)
    return path


@cache
def valid_wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((300, 2)), 48_000, format="WAV", subtype="PCM_16")
    return file.getvalue()


@given(changes=mutations, cut=st.integers(0, 1 << 12))
def wav_header(changes: list[Mutation], cut: int) -> None:
    """A WAV file with a damaged or forged header."""

    def read() -> None:
        recording = read_audio(_file("a.wav", mutated(valid_wav(), changes)[: len(valid_wav()) - cut % 64]))
        assert recording.samples.size < LARGEST
        assert recording.sample_rate >= 1000

    tolerant(read)


@cache
def valid_ecdc() -> bytes:
    from earmark.codec import ecdc

    codes = np.random.default_rng(0).integers(0, 1024, (2, 300)).astype(np.uint16)
    file = io.BytesIO()
    ecdc.write(file, Codes((Segment.from_numpy(codes, None),), 300 * 320), ENCODEC_24KHZ)
    return file.getvalue()


public_header = st.fixed_dictionaries(
    {"m": st.sampled_from(["encodec_24khz", "x"]), "al": st.integers(-1, 1 << 63), "nc": st.integers(-1, 40),
     "lm": st.booleans()}
)  # fmt: skip


@given(data=st.one_of(
    mutations.map(lambda changes: mutated(valid_ecdc(), changes)),
    st.tuples(public_header, st.binary(max_size=2000)).map(
        lambda pair: b"ECDC\0" + struct.pack("!I", len(json.dumps(pair[0]))) + json.dumps(pair[0]).encode() + pair[1]
    ),
))  # fmt: skip
def ecdc_file(data: bytes) -> None:
    """A damaged or forged .ecdc file."""

    def read() -> None:
        contents = read_ecdc(io.BytesIO(data), ENCODEC_24KHZ)
        assert contents.codes.array.size < LARGEST

    tolerant(read)


scalar = st.one_of(st.text(max_size=30), st.integers(), st.booleans(), st.none(), st.floats())
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
page = st.fixed_dictionaries(
    {},
    optional={"type": st.sampled_from(["mushra", "generic"]) | value, "id": value, "name": value, "reference": value,
              "createAnchor35": value, "stimuli": st.dictionaries(st.text(max_size=8), value, max_size=3) | value},
)  # fmt: skip
config_text = st.one_of(
    st.text(max_size=300),
    st.fixed_dictionaries({"testname": value, "testId": value, "pages": st.lists(page | value, max_size=4)}).map(
        lambda data: json.dumps(data)  # JSON is YAML
    ),
    st.integers(2, 25).map(lambda depth: _alias_bomb(depth)),
)  # fmt: skip


def _alias_bomb(depth: int) -> str:
    """Lists of ten aliases of the list before."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, depth)]
    return "\n".join([*lines, f"testname: *a{depth - 1}", "pages: []"])


@given(text=config_text)
def webmushra_yaml(text: str) -> None:
    """A webMUSHRA configuration."""
    path = _file("config.yaml", text.encode(errors="surrogatepass"))
    tolerant(lambda: read_configuration(path))


cell = st.one_of(st.text(max_size=12), st.sampled_from(["1", "50", "100,5", "nan", "1e400", "=1+1", "", '"', "L0001"]))
headings = st.sampled_from([
    "listener,item,condition,score", "session_uuid,trial_id,rating_stimulus,rating_score",
    "wm_id;wm_type;responses_stimulus;responses_score", "a-x.wav,a-y.wav",
])  # fmt: skip
table_text = st.one_of(
    st.binary(max_size=300),
    st.tuples(headings, st.lists(st.lists(cell, min_size=1, max_size=6).map(",".join), max_size=8)).map(
        lambda pair: "\n".join([pair[0], *pair[1]]).encode(errors="surrogatepass")
    ),
)  # fmt: skip


@given(data=table_text)
def rating_csv(data: bytes) -> None:
    """A table of ratings."""
    path = _file("ratings.csv", data)
    tolerant(lambda: read_ratings(path))


json_value = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(alphabet=st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4), max_leaves=10,
)  # fmt: skip


@cache
def rating_page() -> tuple[Any, str, str, list[str]]:
    """A client at its first trial: client, address, CSRF token and tokens of the stimuli."""
    from earmark.mushra_app.web import create_app
    from tests.mushra_app.conftest import write_study
    from tests.mushra_app.visitor import Visitor

    write_study(folder() / "study", annotations=10_000)
    app = create_app(folder() / "study")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    visitor = Visitor(app)
    visitor.begin()
    trial = visitor.trial()
    return visitor.client, f"/trial/{trial.key}", trial.token, trial.stimuli


@given(
    marks=st.lists(st.dictionaries(st.sampled_from(["stimulus", "score", "comment", "x"]), json_value), max_size=6),
    stimuli=st.lists(st.integers(0, 3), max_size=6), other=json_value, token=st.booleans(),
)  # fmt: skip
def rating_request(marks: list[dict[str, Any]], stimuli: list[int], other: object, token: bool) -> None:
    """A submission of ratings: refused by a status below 500, or stored."""
    client, address, right, tokens = rating_page()
    for mark, index in zip(marks, stimuli, strict=False):
        mark["stimulus"] = tokens[index]
    body = {"token": right if token else other, "seconds": other if not token else 1.0, "ratings": marks}
    for sent in (body, other, {**body, "ratings": other}):
        answer = client.post(address, data=json.dumps(sent), content_type="application/json")
        assert answer.status_code in (200, 400, 403, 409), (answer.status_code, sent)


TARGETS: Mapping[str, Callable[[], None]] = {
    one.__name__: one for one in (wav_header, ecdc_file, webmushra_yaml, rating_csv, rating_request)
}


def run(name: str, examples: int, start: int = 0) -> None:
    """Run one target; raises what it raises."""
    limits = settings(
        max_examples=examples, deadline=None, database=None, derandomize=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    seed(start)(limits(TARGETS[name]))()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000, help="inputs per target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=list(TARGETS), action="append", help="may be repeated; default: all")
    options = parser.parse_args()
    for name in options.target or list(TARGETS):
        print(f"{name}: {options.examples} inputs", flush=True)
        run(name, options.examples, options.seed)
    print("no input failed")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()

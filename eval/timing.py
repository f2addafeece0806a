"""Real-time factors, latency and memory of codecs, as Tables 5 and A.3 of the paper have them.

Each system works in a process of its own with a fixed number of threads. The systems take turns, so that what else the
machine does hits all alike.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from baselines.interface import System
from baselines.systems import family_of, parse
from baselines.transcode import transcode
from codec.audio import Audio, Recording
from codec.errors import UserError
from codec.progress import progress
from eval.grid import Grid
from eval.model_cost import ModelCost, language_model_cost, model_cost
from eval.pool import ONE_THREAD
from eval.table_layout import DASH, factor_text

SEED = 5
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of real-time factors: audio duration over processing time, bigger is faster."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: float, times: Sequence[float]) -> Spread:
        """Of `seconds` of audio that took `times` seconds."""
        low, median, high = np.quantile(seconds / np.array(times), [0.25, 0.5, 0.75])
        return cls(float(median), float(low), float(high))

    @property
    def text(self) -> str:
        return f"{factor_text(self.median)} ({factor_text(self.low)} to {factor_text(self.high)})"


@dataclass(frozen=True)
class Timing:
    """One system.

    Args:
        latency: seconds from a sample that goes in to the same one coming out, computing apart; None where the codec
            does not tell.
        peak_bytes: the most memory its process had; None where the system does not tell.
        cost: of its network, with the language model's where it has one; None for codecs without a network.
    """

    system: str
    encode: Spread
    decode: Spread
    latency: float | None
    peak_bytes: int | None
    cost: ModelCost | None


def swelling_chord(seconds: float, sample_rate: int = 24000) -> Recording:
    """Noise that swells and fades over a chord, mono, seeded: no codec finds it silent or trivial."""
    rng = np.random.default_rng(SEED)
    moments = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * pitch * moments) for pitch in (220.0, 277.2, 329.6, 1108.7, 2637.0))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 1.5 * moments)
    noise = rng.standard_normal(moments.size)
    return Recording((0.05 * (chord + swell * noise))[None].astype(np.float32), sample_rate)


def measure(
    systems: Sequence[System], recording: Recording, *, repeats: int, warm_up: int, threads: int
) -> list[Timing]:
    """Encode and decode a recording by each system in turn, `repeats` times.

    Args:
        warm_up: turns of each system that do not count.
        threads: of each system's process.

    Raises:
        UserError: a system cannot run here, or fails.
    """
    for system in systems:
        if reason := family_of(system).unavailable(system):
            raise UserError(f"{system.text}: {reason}")
    rng = np.random.default_rng(SEED)
    times: dict[str, list[tuple[float, float]]] = {system.text: [] for system in systems}
    facts: dict[str, dict[str, Any]] = {}
    with _workers(systems, recording, threads) as workers, progress("bench", len(systems) * repeats) as advance:
        for turn in range(warm_up + repeats):
            for index in rng.permutation(len(systems)):
                text = systems[index].text
                took = _ask(workers[text], text, "turn")
                if turn >= warm_up:
                    times[text].append(took)
                    advance(text)
        for text, worker in workers.items():
            facts[text] = _ask(worker, text, "facts")
    seconds = recording.seconds
    return [
        Timing(
            system.text,
            Spread.of(seconds, [encoding for encoding, _ in times[system.text]]),
            Spread.of(seconds, [decoding for _, decoding in times[system.text]]),
            facts[system.text]["latency"],
            facts[system.text]["peak_bytes"],
            _cost(system),
        )
        for system in systems
    ]


def _cost(system: System) -> ModelCost | None:
    from baselines.encodec import Encodec

    family = family_of(system)
    if not isinstance(family, Encodec):
        return None
    source, kbps = family.source(system), family.kbps(system) or 0.0
    cost = model_cost(source, kbps)
    if "lm" in system.options:
        cost += language_model_cost(family.language_model(system), source, kbps)
    return cost


@contextmanager
def _workers(systems: Sequence[System], recording: Recording, threads: int) -> Iterator[dict[str, Connection]]:
    """A process for each system, all ready when the block begins, and ended with it."""
    context = multiprocessing.get_context("spawn")  # a clean process, whose memory is its own
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, str(threads)))  # libraries read them when they are loaded
    workers: dict[str, Connection] = {}
    processes = []
    try:
        for system in systems:
            ours, theirs = context.Pipe()
            arguments = (theirs, system.text, recording.samples, recording.sample_rate, threads)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()  # so that its death is the end of the pipe
            workers[system.text] = ours
            processes.append(process)
        for text, worker in workers.items():
            _answer(worker, text)
        yield workers
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        for process in processes:
            process.kill()
            process.join()


def _ask(worker: Connection, text: str, question: str) -> Any:
    worker.send(question)
    return _answer(worker, text)


def _answer(worker: Connection, text: str) -> Any:
    try:
        answer = worker.recv()
    except EOFError:
        raise UserError(f"{text}: its process died (crash in native code, or out of memory)") from None
    if isinstance(answer, Exception):
        raise UserError(f"{text}: failed: {answer}")
    return answer


def _serve(pipe: Connection, text: str, samples: Audio, sample_rate: int, threads: int) -> None:
    """What a system's process does: answer questions until it is ended."""
    try:
        system = parse(text)
        codec = family_of(system).open(system, sample_rate, samples.shape[0])
        _limit_threads(threads)
        pipe.send("ready")
        while True:
            if pipe.recv() == "turn":
                done = transcode(codec, samples, sample_rate)
                pipe.send((done.encode_seconds, done.decode_seconds))
            else:
                pipe.send({"latency": getattr(codec, "latency", None), "peak_bytes": peak_bytes()})
    except (EOFError, KeyboardInterrupt):
        return
    except Exception as error:
        pipe.send(UserError(f"{type(error).__name__}: {error}"))


def _limit_threads(threads: int) -> None:
    """PyTorch's, if the codec uses it; the other libraries have heard already."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def peak_bytes() -> int | None:
    """The most memory that this process had; of the process alone, where getrusage counts its parent's, too."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def grid(timings: Sequence[Timing], recording: Recording, repeats: int, threads: int) -> Grid:
    """For printing."""
    rows = tuple(
        (
            one.system, one.encode.text, one.decode.text,
            f"{1000 * one.latency:.1f}" if one.latency is not None else DASH,
            f"{one.peak_bytes / 1e6:,.0f}" if one.peak_bytes is not None else DASH,
            f"{one.cost.parameters / 1e6:.2f}" if one.cost else DASH,
            f"{one.cost.weight_bytes / 1e6:.1f}" if one.cost else DASH,
            f"{one.cost.encode_flops / 1e9:.2f}" if one.cost else DASH,
            f"{one.cost.decode_flops / 1e9:.2f}" if one.cost else DASH,
        )
        for one in timings
    )  # fmt: skip
    return Grid(
        "Speed",
        (
            "System", "encoding, × real time", "decoding, × real time", "latency, ms", "memory, MB",
            "parameters, M", "weights, MB", "encoding, GFLOP/s", "decoding, GFLOP/s",
        ),
        rows,
        (
            "Real-time factor: audio duration over processing time, bigger is faster; median and quartiles of "
            f"{repeats} turns over {recording.seconds:g} s at {recording.sample_rate} Hz, {threads} thread"
            f"{'s' if threads != 1 else ''}, each system in a process of its own, in turns. Resampling to the codec's "
            "own rate is not counted. Latency: what the method needs, without computing. Memory: the most that the "
            "process had, Python and its libraries included. GFLOP/s: for each second of audio, "
            "a multiplication and an addition being two.",
        ),
    )  # fmt: skip

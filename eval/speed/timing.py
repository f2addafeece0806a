"""Real-time factors, latency and memory of codecs, as Tables 5 and A.3 of the paper have them.

Each system works in a process of its own with a fixed number of threads. The systems take turns, so that what else the
machine does hits all alike.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from earmark.baselines import programs
from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.baselines.transcode import transcode
from earmark.codec.audio import Audio, Recording
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.text import counted
from earmark.eval.comparison.machine import machine
from earmark.eval.comparison.pool import ONE_THREAD
from earmark.eval.speed.model_cost import ModelCost, language_model_cost, model_cost
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH, factor_text

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
) -> tuple[list[Timing], dict[str, str]]:
    """Encode and decode a recording by each system in turn, `repeats` times.

    Args:
        warm_up: turns of each system that do not count.
        threads: of each system's process.

    Returns:
        The systems that took all turns, and system -> why it has no figures for those that cannot run here or failed.

    Raises:
        UserError: that is so of all.
    """
    failed = {one.text: reason for one in systems if (reason := family_of(one).unavailable(one)) is not None}
    rng = np.random.default_rng(SEED)
    times: dict[str, list[tuple[float, float]]] = {system.text: [] for system in systems}
    facts: dict[str, dict[str, Any]] = {}
    able = [system for system in systems if system.text not in failed]
    with _workers(able, recording, threads) as workers, progress("bench", len(able) * repeats) as advance:
        for turn in range(-1, warm_up + repeats):
            for index in rng.permutation(len(able)):
                text = able[index].text
                if text not in failed:
                    try:
                        took = workers[text].answer() if turn < 0 else workers[text].ask("turn")  # first: it is ready
                    except UserError as error:
                        failed[text] = str(error)
                        workers[text].end()
                    else:
                        if turn >= warm_up:
                            times[text].append(took)
                if turn >= warm_up:
                    advance(text)
        measured = [system for system in able if system.text not in failed]
        for system in measured:
            facts[system.text] = workers[system.text].ask("facts")
    if not measured:
        raise UserError(next(f"{text}: {reason}" for text, reason in failed.items()))
    seconds = recording.seconds
    timings = [
        Timing(
            system.text,
            Spread.of(seconds, [encoding for encoding, _ in times[system.text]]),
            Spread.of(seconds, [decoding for _, decoding in times[system.text]]),
            facts[system.text]["latency"],
            facts[system.text]["peak_bytes"],
            _cost(system),
        )
        for system in measured
    ]
    return timings, failed


def _cost(system: System) -> ModelCost | None:
    from earmark.baselines.encodec import Encodec

    family = family_of(system)
    if not isinstance(family, Encodec):
        return None
    source, kbps = family.source(system), family.kbps(system) or 0.0
    cost = model_cost(source, kbps)
    if "lm" in system.options:
        cost += language_model_cost(family.language_model(system), source, kbps)
    return cost


@dataclass(frozen=True)
class Worker:
    """A system's process.

    Args:
        limit: seconds in which it must answer.
    """

    pipe: Connection
    process: SpawnProcess
    limit: float

    def ask(self, question: str) -> Any:
        with suppress(BrokenPipeError):  # which the answer tells
            self.pipe.send(question)
        return self.answer()

    def answer(self) -> Any:
        """Raises: UserError: the system failed, its process died, or it hangs."""
        try:
            if not self.pipe.poll(self.limit):
                raise UserError(f"no answer in {self.limit:g} s, so it was ended; --timeout sets another limit")
            answer = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            raise UserError("its process died (crash in native code, or out of memory)") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def _workers(systems: Sequence[System], recording: Recording, threads: int) -> Iterator[dict[str, Worker]]:
    """A process for each system, which answers once when it is ready, and is ended with the block."""
    context = multiprocessing.get_context("spawn")  # a clean process, whose memory is its own
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, str(threads)))  # libraries read them when they are loaded
    workers: dict[str, Worker] = {}
    try:
        for system in systems:
            ours, theirs = context.Pipe()
            arguments = (theirs, system, recording.samples, recording.sample_rate, threads)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()  # so that its death is the end of the pipe
            limit = 2 * programs.time_limit(recording.seconds, system.timeout)  # for an encoder and a decoder
            workers[system.text] = Worker(ours, process, limit)
        yield workers
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        for worker in workers.values():
            worker.end()


def _serve(pipe: Connection, system: System, samples: Audio, sample_rate: int, threads: int) -> None:
    """What a system's process does: answer questions until it is ended."""
    try:
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
    except UserError as error:
        pipe.send(UserError(str(error).removeprefix(f"{system.text}: ")))
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


def grid(
    timings: Sequence[Timing], failed: Mapping[str, str], recording: Recording, repeats: int, threads: int
) -> Grid:
    """For printing.

    Args:
        failed: system -> why it has no figures.
    """
    rows = [
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
    ]  # fmt: skip
    headings = (
        "System", "encoding, × real time", "decoding, × real time", "latency, ms", "memory, MB",
        "parameters, M", "weights, MB", "encoding, GFLOP/s", "decoding, GFLOP/s",
    )  # fmt: skip
    return Grid(
        "Speed",
        headings,
        (*rows, *((text, *[DASH] * (len(headings) - 1)) for text in failed)),
        (
            "Real-time factor: audio duration over processing time, bigger is faster; median and quartiles of "
            f"{repeats} turns over {recording.seconds:g} s at {recording.sample_rate} Hz, "
            f"{counted(threads, 'thread')}, each system in a process of its own, in turns, on {machine()}. "
            "Resampling to the codec's own rate is not counted. Latency: what the method needs, without computing. "
            "Memory: the most that the process had, Python and its libraries included. GFLOP/s: for each second of "
            "audio, a multiplication and an addition being two.",
            *(f"{text}: {reason}" for text, reason in failed.items()),
        ),
    )  # fmt: skip

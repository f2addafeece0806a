"""A process that encodes and decodes with one system, and answers questions about it."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from earmark.baselines import programs
from earmark.baselines.interface import System
from earmark.baselines.systems import family_of
from earmark.baselines.transcode import transcode
from earmark.codec.audio import Audio, Recording
from earmark.codec.errors import UserError
from earmark.codec.parallel import thread_limit

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Worker:
    """The process of one system, seen from the parent.

    Args:
        limit: seconds within which it has to answer.
    """

    pipe: Connection
    process: SpawnProcess
    limit: float

    def ask(self, question: Any) -> Any:
        """Send a question, e.g. "turn" or "facts", and return the answer; raises as `answer` does."""
        with suppress(BrokenPipeError):  # `answer` reports it
            self.pipe.send(question)
        return self.answer()

    def answer(self) -> Any:
        """Return the next answer.

        Raises:
            UserError: the system failed, its process died, or it hangs.
        """
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
        """Kill the process."""
        self.process.kill()
        self.process.join()


@contextmanager
def started(systems: Sequence[System], recording: Recording, threads: int) -> Iterator[dict[str, Worker]]:
    """Start a process per system; each answers "ready" once, and is killed at the end of the block."""
    context = multiprocessing.get_context("spawn")  # shares no memory with this process, which would count as its own
    workers: dict[str, Worker] = {}
    try:
        with thread_limit(threads):
            for system in systems:
                ours, theirs = context.Pipe()
                arguments = (theirs, system, recording.samples, recording.sample_rate, threads)
                process = context.Process(target=_serve, args=arguments, daemon=True)
                process.start()
                theirs.close()  # so that its end closes the pipe
                limit = 2 * programs.time_limit(recording.seconds, system.timeout)  # for the encoder and the decoder
                workers[system.text] = Worker(ours, process, limit)
        yield workers
    finally:
        for worker in workers.values():
            worker.end()


def _serve(pipe: Connection, system: System, samples: Audio, sample_rate: int, threads: int) -> None:
    """Answer questions about a system until the process is killed."""
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
    """Limit PyTorch's threads if the codec uses it; other libraries read the environment variables."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def peak_bytes() -> int | None:
    """Peak memory of this process; None if unknown. getrusage would include memory of the parent."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)

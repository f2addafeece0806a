"""A user's own codec as two commands of a shell: ``mycodec=ENCODE {input} {bitstream} && DECODE {bitstream} {output}``.

Commands stand in the environment, where the processes that do the work find them too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from earmark.baselines import programs
from earmark.baselines.interface import Encoded, Family, System
from earmark.codec.audio import Audio, fit_length, read, write
from earmark.codec.errors import UserError

VARIABLE = "EARMARK_COMMANDS"  # JSON: name -> command
FILES = {"{input}": "input.wav", "{bitstream}": "bitstream", "{output}": "output.wav"}
FORM = "NAME=ENCODE {input} {bitstream} && DECODE {bitstream} {output}"


@dataclass
class CommandCodec:
    """Two commands, each in an empty folder of its own: the decoder sees the bitstream and nothing else.

    Args:
        encode_command, decode_command: for `sh -c`, with the names of the files filled in.
    """

    name: str
    sample_rate: int
    channels: int
    encode_command: str
    decode_command: str

    def encode(self, audio: Audio) -> Encoded:
        with tempfile.TemporaryDirectory(prefix="earmark-") as name:
            folder = Path(name)
            write(folder / "input.wav", audio, self.sample_rate, "PCM_16")
            self._run("its encoder", self.encode_command, folder, audio.shape[-1])
            if not (folder / "bitstream").is_file():
                raise UserError(
                    f"{self.name}: its encoder wrote no {{bitstream}}; see what `{self.encode_command}` does"
                )
            return Encoded(((folder / "bitstream").read_bytes(),), audio.shape[-1])

    def decode(self, encoded: Encoded) -> Audio:
        with tempfile.TemporaryDirectory(prefix="earmark-") as name:
            folder = Path(name)
            (folder / "bitstream").write_bytes(encoded.packets[0])
            self._run("its decoder", self.decode_command, folder, encoded.samples)
            if not (folder / "output.wav").is_file():
                raise UserError(f"{self.name}: its decoder wrote no {{output}}; see what `{self.decode_command}` does")
            decoded = read(folder / "output.wav")
        if (decoded.sample_rate, decoded.channels) != (self.sample_rate, self.channels):
            raise UserError(
                f"{self.name}: its decoder wrote {decoded.sample_rate} Hz and {decoded.channels} channels for "
                f"{self.sample_rate} Hz and {self.channels}; it must give back what it was given"
            )
        return fit_length(decoded.samples, encoded.samples)

    def _run(self, program: str, command: str, folder: Path, samples: int) -> None:
        limit = programs.patience(samples / self.sample_rate)
        programs.run(["sh", "-c", command], folder, limit, self.name, program)


class Command(Family):
    """A codec that the user described by `--system`.

    Args:
        command: both parts; {kbps} and {rate}, in Hz, may stand in either.
    """

    title = "your command"
    sample_rates = "any"
    licence = "yours"

    def __init__(self, name: str, command: str) -> None:
        self.name = name
        self.parts = _split(name, command)
        self.takes_rate = "{kbps}" in command
        self.example = f"{name}@12" if self.takes_rate else name
        self.rates = "what you name" if self.takes_rate else "its own"

    def unavailable(self, system: System | None = None) -> str | None:
        return None

    def version(self, system: System | None = None) -> str:
        """The commands; that the programs behind them changed cannot be seen from here."""
        return f"command {hashlib.sha256(' && '.join(self.parts).encode()).hexdigest()[:16]}"

    def check(self, system: System) -> None:
        if self.takes_rate != (system.rate is not None):
            rule = "has {kbps}, so name a rate" if self.takes_rate else "has no {kbps}, so it takes no rate"
            raise UserError(f"{system.text}: its command {rule}; write {self.example}")
        if system.rate is not None and not re.fullmatch(r"\d+(\.\d+)?", system.rate, re.ASCII):
            raise UserError(f"{system.text}: its rate is a number of kbps; write {self.example}")

    def kbps(self, system: System) -> float | None:
        return float(system.rate) if system.rate else None

    def open(self, system: System, sample_rate: int, channels: int) -> CommandCodec:
        values = FILES | {"{kbps}": system.rate or "", "{rate}": str(sample_rate)}
        encode, decode = (re.sub(r"{\w+}", lambda match: values.get(match[0], match[0]), part) for part in self.parts)
        return CommandCodec(system.text, sample_rate, channels, encode, decode)


def _split(name: str, command: str) -> tuple[str, str]:
    encode, separator, decode = command.partition("&&")
    parts = ((encode, ("{input}", "{bitstream}")), (decode, ("{bitstream}", "{output}")))
    if not separator or not all(file in part for part, files in parts for file in files):
        raise UserError(f"--system {name}: not of the form {FORM}")
    return encode.strip(), decode.strip()


def defined() -> dict[str, Command]:
    """The commands of the environment, by name.

    Raises:
        UserError: the variable is no JSON object of commands.
    """
    try:
        commands = json.loads(os.environ.get(VARIABLE, "{}"))
        return {name: Command(name, command) for name, command in commands.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{VARIABLE}: not a JSON object of names and commands ({error}); unset or mend it") from error


def define(text: str) -> str:
    """Add ``NAME=COMMAND`` to the environment, for this process and those it starts, and return the name.

    Raises:
        UserError: it is not of that form, or the name is a known codec's.
    """
    from earmark.baselines.systems import BUILT_IN, families

    name, _, command = text.partition("=")
    name = name.strip()
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise UserError(f"--system {text!r}: not of the form {FORM}")
    if name in BUILT_IN:
        raise UserError(f"--system {name}: a codec of Earmark has this name; choose another")
    _split(name, command)
    commands = json.loads(os.environ.get(VARIABLE, "{}")) | {name: command.strip()}
    os.environ[VARIABLE] = json.dumps(commands)
    families.cache_clear()
    return name

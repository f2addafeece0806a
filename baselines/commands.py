"""A user's own codec as two shell commands: ``mycodec=ENCODE {input} {bitstream} && DECODE {bitstream} {output}``."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from earmark.baselines import containers, program_files, programs
from earmark.baselines.interface import Encoded, System
from earmark.baselines.users_codec import UsersCodec
from earmark.codec.audio import Audio, Recording, read, resample, write
from earmark.codec.errors import UserError
from earmark.codec.text import counted

INPUTS = {"{input}": ("input.wav", "PCM_16"), "{input24}": ("input24.wav", "PCM_24")}  # {input}: every program reads it
FILES = {name: file for name, (file, _) in INPUTS.items()} | {"{bitstream}": "bitstream", "{output}": "output.wav"}
FORMAT = "NAME=ENCODE {input} {bitstream} && DECODE {bitstream} {output}, or NAME=PROCESS {input} {output} for no codec"


@dataclass
class CommandCodec:
    """Two commands, each run in an empty folder of its own, so that the decoder has the bitstream and nothing else.

    Args:
        encode_command, decode_command: commands for `sh -c`, with the names of the files filled in. Without the first
            the second processes the input itself, and is no codec.
        timeout: seconds after which a command is ended; None for the default.
        inputs: placeholders of the files that the command reads the source from, keys of INPUTS.

    Attributes:
        converted: what `decode` had to convert, each once: "22.05 kHz to 24 kHz".
    """

    name: str
    sample_rate: int
    channels: int
    encode_command: str | None
    decode_command: str
    timeout: float | None = None
    inputs: tuple[str, ...] = ("{input}",)
    converted: list[str] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        """Whether there is an encoder and a decoder, whose times are known apart."""
        return self.encode_command is not None

    @property
    def limited_to_16_bit(self) -> bool:
        """Whether the command gets no more than 16 bits per sample of its source."""
        return "{input24}" not in self.inputs

    def encode(self, audio: Audio) -> Encoded:
        if self.encode_command is None:
            return Encoded((np.ascontiguousarray(audio, np.float32).tobytes(),), audio.shape[-1], bits=0)
        with tempfile.TemporaryDirectory(prefix="earmark-") as name:
            folder = Path(name)
            self._write_inputs(folder, audio)
            self._run("its encoder", self.encode_command, folder, audio.shape[-1])
            if not (folder / "bitstream").is_file():
                raise UserError(f"{self.name}: its encoder wrote no {{bitstream}}; check `{self.encode_command}`")
            content = (folder / "bitstream").read_bytes()
        found = containers.payload(content)
        if found is None:
            return Encoded((content,), audio.shape[-1], file_bytes=True)
        return Encoded((content,), audio.shape[-1], found.bits, found.seconds)

    def decode(self, encoded: Encoded) -> Audio:
        with tempfile.TemporaryDirectory(prefix="earmark-") as name:
            folder = Path(name)
            if self.encode_command is None:
                audio = np.frombuffer(encoded.packets[0], np.float32).reshape(self.channels, -1)
                self._write_inputs(folder, audio)
            else:
                (folder / "bitstream").write_bytes(encoded.packets[0])
            self._run(
                "its command" if self.encode_command is None else "its decoder",
                self.decode_command,
                folder,
                encoded.samples,
            )
            if not (folder / "output.wav").is_file():
                raise UserError(f"{self.name}: its decoder wrote no {{output}}; check `{self.decode_command}`")
            decoded = read(folder / "output.wav")
        return self._in_its_format(decoded)

    def _write_inputs(self, folder: Path, audio: Audio) -> None:
        for placeholder in self.inputs:
            name, subtype = INPUTS[placeholder]
            write(folder / name, audio, self.sample_rate, subtype)

    def _in_its_format(self, decoded: Recording) -> Audio:
        """The decoded audio at the sample rate and channel count of {input}, in its own length."""
        samples = resample(decoded.samples, decoded.sample_rate, self.sample_rate)
        if decoded.sample_rate != self.sample_rate:
            self._note(f"{decoded.sample_rate / 1000:g} kHz to {self.sample_rate / 1000:g} kHz")
        if decoded.channels != self.channels:
            if 1 not in (decoded.channels, self.channels):
                raise UserError(
                    f"{self.name}: its decoder wrote {decoded.channels} channels for {self.channels}; it must write "
                    "the channels of {input}, or one"
                )
            samples = np.repeat(samples.mean(axis=0, keepdims=True), self.channels, axis=0)
            self._note(f"{counted(decoded.channels, 'channel')} to {self.channels}")
        return samples

    def _note(self, text: str) -> None:
        if text not in self.converted:
            self.converted.append(text)

    def _run(self, program: str, command: str, folder: Path, samples: int) -> None:
        limit = programs.time_limit(samples / self.sample_rate, self.timeout)
        programs.run(["sh", "-c", command], folder, limit, self.name, program)


class Command(UsersCodec):
    """A codec that the user described by `--codec`.

    Args:
        command: encoder and decoder, joined by "&&"; {kbps} and {rate}, in Hz, may stand in both.

    Raises:
        UserError: the command has another format.
    """

    def __init__(self, name: str, command: str) -> None:
        super().__init__(name, takes_rate="{kbps}" in command, parameter="{kbps}")
        self.title = "your command"
        self.commands = _split(name, command)
        self.coded = self.commands[0] is not None
        self.command = " && ".join(part for part in self.commands if part is not None)

    def version(self, system: System | None = None) -> str:
        """Hash of the commands and of the content of the programs and files that they name."""
        return f"command {program_files.identity(self.command)}"

    def parts(self, system: System) -> Mapping[str, str]:
        """The command, and the programs and files that it names, with a hash of each."""
        return {"its command": hashlib.sha256(self.command.encode()).hexdigest(), **program_files.parts(self.command)}

    def folders(self, system: System) -> Mapping[str, str]:
        """The folders that the command names, e.g. of a model, with a hash of the content of each."""
        return program_files.folders(self.command)

    def open(self, system: System, sample_rate: int, channels: int) -> CommandCodec:
        values = FILES | {"{kbps}": system.rate or "", "{rate}": str(sample_rate)}

        def filled(part: str) -> str:
            return re.sub(r"{\w+}", lambda match: values.get(match[0], match[0]), part)

        encode, decode = self.commands
        return CommandCodec(
            system.text,
            sample_rate,
            channels,
            None if encode is None else filled(encode),
            filled(decode),
            system.timeout,
            tuple(name for name in INPUTS if name in self.command),
        )


def _split(name: str, command: str) -> tuple[str | None, str]:
    """The encoder and decoder of a command; no encoder if there is no bitstream."""
    if "{bitstream}" not in command and any(_reads(part) and "{output}" in part for part in command.split("&&")):
        return None, command.strip()
    encode, separator, decode = command.partition("&&")
    complete = _reads(encode) and "{bitstream}" in encode and "{bitstream}" in decode and "{output}" in decode
    if not separator or not complete:
        raise UserError(f"--codec {name}: write {FORMAT}")
    return encode.strip(), decode.strip()


def _reads(part: str) -> bool:
    """Whether a part of a command reads the source."""
    return any(name in part for name in INPUTS)


def read_command(text: str) -> Command:
    """Read the ``NAME=COMMAND`` of a --codec option.

    Raises:
        UserError: it has another format.
    """
    name, _, command = text.partition("=")
    name = name.strip()
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
        raise UserError(f"--codec {text!r}: write {FORMAT}")
    return Command(name, command.strip())

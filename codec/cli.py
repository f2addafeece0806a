"""`earmark encode`, `earmark decode`, `earmark inspect`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from earmark.codec.checkpoints.downloads import OFFICIAL, cached, language_model_for
from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole

if TYPE_CHECKING:  # torch takes seconds to import, and --help does without it
    from earmark.codec.audio import Pcm
    from earmark.codec.ecdc.segment_coders import SegmentCoder
    from earmark.codec.encodec.config import EncodecConfig
    from earmark.codec.encodec.model import EncodecModel

MODELS = ("encodec_24khz", "encodec_48khz")
PIPE = Path("-")
FILE = click.Path(path_type=Path)
THERE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
checkpoint_option = click.option(
    "--checkpoint",
    metavar="FILE|official",
    help="Weights: a file, official, Hugging Face's or ours; `official`: what `earmark download` fetched. Unless told: "
    "those that come with Earmark, or the official ones where there are none.",
)
language_model_option = click.option(
    "--language-model", type=FILE, help="By `earmark train-lm` or official; unless told, the one for the weights."
)


@click.command()
@click.argument("source", type=THERE, metavar="IN")
@click.argument("target", type=FILE, metavar="OUT.ecdc")
@click.option("--model", "name", type=click.Choice(MODELS), help="encodec_24khz, or what --checkpoint is, unless told.")
@click.option(
    "--kbps",
    type=float,
    default=6,
    show_default=True,
    help="1.5 (at 24 kHz only), 3, 6, 12, or 24 (not by the weights that come with Earmark).",
)
@click.option("--lm", is_flag=True, help="Fewer bits for the same codes, by a language model.")
@checkpoint_option
@language_model_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["earmark", "reference"]),
    default="earmark",
    show_default=True,
    help="Ours, in which damage is found, or the public reference's for its own programs.",
)
def encode(
    source: Path, target: Path, name: str | None, kbps: float, lm: bool, checkpoint: str | None,
    language_model: Path | None, form: Literal["earmark", "reference"],
) -> None:  # fmt: skip
    """Code the recording IN by EnCodec into OUT.ecdc. Each may be - for a pipe.

    IN is a WAV, FLAC, Ogg, Opus, MP3 or AIFF file, mono or stereo, of any sample rate. A pipe brings WAV and is coded
    as it comes. Stereo is averaged for encodec_24khz, mono repeated for encodec_48khz; the decoded length is that of
    IN, rounded to a sample at the model's rate.
    """
    if target != PIPE and target.suffix.lower() != ".ecdc":
        raise UserError(f"{target}: codes go to a file that ends in .ecdc, or to - for a pipe")
    if source == PIPE and form == "reference":
        raise UserError("--format reference: needs the length first, which a pipe does not tell; give a file as IN")
    from earmark.codec import ecdc
    from earmark.codec import recordings as coding
    from earmark.codec.audio import blocks as audio_blocks

    if checkpoint is None and form == "reference":
        checkpoint = OFFICIAL  # whoever reads that format has no other weights
    recording = audio_blocks.open_file(source) if source.is_file() else audio_blocks.open_pipe(_opened(source))
    model, identity = _load(name or MODELS[0], checkpoint)
    if name not in (None, model.config.name):
        raise UserError(f"--model {name}: {checkpoint} is a checkpoint of {model.config.name}")
    rate = model.config.sample_rate
    recording = recording.converted(rate, model.config.channels)
    if kbps not in model.config.kbps:
        rates = ", ".join(f"{rate:g}" for rate in model.config.kbps)
        others = "" if checkpoint else "; the official ones have more, by --checkpoint official"
        raise UserError(f"--kbps {kbps:g}: these weights of {model.config.name} have {rates} kbps{others}")
    codebooks = model.config.codebooks(kbps)
    coder = None
    if lm or language_model is not None:
        coder = _coder(language_model, checkpoint, model.config, portable=form == "earmark", codec=identity)
    done = 0
    with _written(target) as sink, _progress(target, recording.samples, rate) as advance:
        writer = ecdc.open_writer(
            sink, model.config, codebooks, recording.samples, format=form, model_identity=identity,
            language_model=coder is not None, coder=coder,
        )  # fmt: skip
        for samples in coding.encode(recording, model, kbps, writer):
            sink.flush()
            advance(samples)
            done += samples
    if target != PIPE:
        click.echo(f"{target}: {done / rate:.2f} s at {writer.payload_bytes * 8 * rate / done / 1000:.2f} kbps")


@click.command()
@click.argument("source", type=THERE, metavar="IN.ecdc")
@click.argument("target", type=FILE, metavar="OUT")
@checkpoint_option
@language_model_option
def decode(source: Path, target: Path, checkpoint: str | None, language_model: Path | None) -> int:
    """Decode IN.ecdc to OUT, a .wav, .flac or .ogg file. Each may be - for a pipe.

    OUT has the model's sample rate and channels and 16 bits; a pipe gets WAV with a header of unknown length. What is
    damaged in IN.ecdc is silent in OUT and told line by line, and the exit status is 1.
    """
    from earmark.codec import ecdc
    from earmark.codec import recordings as coding
    from earmark.codec.audio import blocks as audio_blocks
    from earmark.codec.audio import to_pcm16
    from earmark.codec.ecdc.segment_coders import Entropy, coded_by
    from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS

    if target != PIPE:
        audio_blocks.require_output(target)
    with _read(source) as file:
        label = "-" if source == PIPE else str(source)
        given = None if checkpoint in (None, OFFICIAL) else _load("", checkpoint)

        def coder(header: ecdc.Header) -> SegmentCoder:
            config = given[0].config if given else PRESETS.get(header.model, ENCODEC_24KHZ)
            portable = header.entropy == Entropy.PORTABLE_MODEL
            named = header.language_model_identity
            missing = f"{label}: {coded_by(named)}" if named else ""
            chosen = checkpoint if portable else checkpoint or OFFICIAL
            return _coder(language_model, chosen, config, portable, missing)

        reader = ecdc.open_reader(file, given[0].config if given else None, coder=coder)
        header = reader.header
        if given is None and header.model not in MODELS:
            raise UserError(f"{label}: codes of the model {header.model!r}; give its weights by --checkpoint")
        # A file of the public reference knows no weights but the official ones.
        model, identity = given or _load(header.model, checkpoint if header.model_identity else OFFICIAL)
        try:
            header.require_model(model.config, identity)
        except UserError as error:
            raise UserError(f"{label}: {error}") from error
        rate, limited = model.config.sample_rate, 0
        with (
            _written_audio(target, rate, model.config.channels) as write,
            _progress(target, header.samples, rate) as advance,
        ):
            for block in coding.decode(model, reader, label):
                pcm, beyond = to_pcm16(block)
                write(pcm)
                advance(len(pcm))
                limited += beyond
    if limited:
        click.echo(f"note: {limited} samples were beyond full scale and limited to it", err=True)
    for damage in reader.damage:
        click.echo(f"damaged: {label}: {damage.what}", err=True)
    return 1 if reader.damage else 0


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.ecdc")
@language_model_option
def inspect(file: Path, language_model: Path | None) -> int:
    """Print what FILE.ecdc holds as JSON: model, length, bit rate, segments, damage, SHA-256 of the codes.

    The exit status is 1 if it is damaged. Where the language model of a file is not here, what only its payload tells
    is null.
    """
    from earmark.codec import ecdc

    facts = ecdc.inspect(file)
    if facts["entropy"] != "raw":
        try:
            facts = ecdc.inspect(file, coder=_coder_of(facts, language_model))
        except UserError as error:
            if language_model is not None:
                raise
            click.echo(f"note: {file}: not read beyond its header: {error}", err=True)
    click.echo(json.dumps(facts, indent=2))
    return 1 if facts["damage"] else 0


def _load(name: str, checkpoint: str | None) -> tuple[EncodecModel, str]:
    """A model ready to code, and its identity: of a checkpoint, or the model `name` of MODELS."""
    import torch

    from earmark.codec.checkpoints import loading as checkpoints
    from earmark.codec.encodec.fast.accelerate import accelerate

    if "OMP_NUM_THREADS" not in os.environ:
        # One thread is many times real time. Several wait for each other in a busy loop, which costs a factor of five
        # where the other cores have work, as the other program of a pipe gives them.
        torch.set_num_threads(1)
    if checkpoint == OFFICIAL:
        model = checkpoints.load(cached(name))
    else:
        chosen = name if checkpoint is None else checkpoint
        model = checkpoints.load(chosen if chosen in MODELS else Path(chosen))
    identity = checkpoints.identity(model)
    accelerate(model)
    return model, identity


def _coder(
    language_model: Path | None, checkpoint: str | None, config: EncodecConfig, portable: bool, missing: str = "",
    codec: str | None = None,
) -> SegmentCoder:  # fmt: skip
    """The language model's coder, of our format or of the public one.

    Args:
        missing: what to say of a file if no language model is known.
        codec: identity of the weights that it must be for; a file names its language model itself.
    """
    from earmark.codec.language_model import files as language_model_files

    try:
        source = language_model or _language_model_of(checkpoint, config)
    except UserError as error:
        if missing:
            raise UserError(missing) from error
        raise
    load = language_model_files.portable_coder if portable else language_model_files.public_coder
    return load(source, config, codec)


def _language_model_of(checkpoint: str | None, config: EncodecConfig) -> Path:
    if checkpoint not in (None, OFFICIAL):
        raise UserError("--lm: the language model for --checkpoint is not known; give it by --language-model")
    return language_model_for(config.name, official=checkpoint == OFFICIAL)


def _coder_of(facts: dict[str, Any], language_model: Path | None) -> SegmentCoder:
    """The coder of a file that `ecdc.inspect` tells of."""
    from earmark.codec.ecdc.segment_coders import coded_by
    from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS

    portable = facts["entropy"] == "portable_model"
    config = PRESETS.get(facts["model"], ENCODEC_24KHZ)
    missing = coded_by(facts["language_model_identity"]) if portable else ""
    return _coder(language_model, None if portable else OFFICIAL, config, portable, missing)


def _progress(target: Path, samples: int | None, sample_rate: int) -> AbstractContextManager[Callable[[int], object]]:
    """A bar, but none where what comes out goes to another program: that one may show its own."""
    from earmark.codec.progress import audio_progress

    return nullcontext(lambda count: None) if target == PIPE else audio_progress(target.name, samples, sample_rate)


def _opened(pipe: Path) -> BinaryIO:
    """Standard input, or a named pipe; open until the command ends."""
    if pipe != PIPE:
        return pipe.open("rb")
    if sys.stdin is None:
        raise UserError("-: there is no standard input; give a file as IN")
    return sys.stdin.buffer


@contextmanager
def _read(path: Path) -> Iterator[BinaryIO]:
    if path == PIPE:
        yield _opened(path)
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that is there when the block ends well, or standard output."""
    if path != PIPE:
        with written_whole(path) as aside, aside.open("wb") as file:
            yield file
        return
    if sys.stdout is None or sys.stdout.isatty():
        raise UserError("-: standard output is a terminal; send it to a file or a pipe")
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"-: cannot be written: {error.strerror or error}") from error


@contextmanager
def _written_audio(path: Path, sample_rate: int, channels: int) -> Iterator[Callable[[Pcm], None]]:
    from earmark.codec.audio import blocks as audio_blocks

    if path != PIPE:
        with audio_blocks.written_file(path, sample_rate, channels) as write:
            yield write
        return
    with _written(path) as file, audio_blocks.written_pipe(file, sample_rate, channels) as write:
        yield write

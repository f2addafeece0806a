"""`earmark encode`, `earmark decode`, `earmark inspect`."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from earmark.codec.checkpoints.downloads import OFFICIAL
from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.model_choice import MODELS, ModelChoice
from earmark.codec.pipes import PIPE, open_recording, progress_of, reading, writing, writing_audio
from earmark.codec.text import counted

if TYPE_CHECKING:  # torch takes seconds to import, and --help does without it
    from earmark.codec.ecdc import Header, PartReader
    from earmark.codec.encodec.config import EncodecConfig
    from earmark.codec.encodec.model import EncodecModel

FILE = click.Path(path_type=Path)


class Recording(click.Path):
    """A recording, or - for a pipe."""

    def __init__(self) -> None:
        super().__init__(exists=True, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path != PIPE and path.is_dir():
            self.fail(f"{path} is a folder; name one recording, or run `earmark compare {path}`", param, ctx)
        if path.suffix.lower() == ".ecdc":
            audio = path.with_suffix(".wav")
            self.fail(f"{path} is coded already; decode it by `earmark decode {path} {audio}`", param, ctx)
        return path


class CodedFile(click.Path):
    """An .ecdc file, or - for a pipe."""

    def __init__(self) -> None:
        super().__init__(exists=True, allow_dash=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path != PIPE and path.is_dir():
            self.fail(f"{path} is a folder; name an .ecdc file", param, ctx)
        return path


CACHE = {"EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark]."}
checkpoint_option = option(
    "--checkpoint",
    metavar="FILE|official",
    show_default="bundled",
    help="Weights: a checkpoint file (official, Hugging Face or Earmark), or `official` for those that `earmark "
    "download` fetched. Bundled are those that come with Earmark.",
)
language_model_option = option(
    "--language-model",
    type=FILE,
    metavar="FILE",
    show_default="the one for the weights",
    help="Language model from `earmark train-lm`, or an official one.",
)


@command(
    short_help="Code audio to an .ecdc file",
    examples=[
        "earmark encode speech.wav speech.ecdc --kbps 3 --lm",
        "earmark encode music.flac music.ecdc --model encodec_48khz",
        "arecord -f S16_LE -r 24000 | earmark encode - talk.ecdc",
    ],
    environment=CACHE,
)
@click.argument("source", type=Recording(), metavar="IN")
@click.argument("target", type=FILE, metavar="OUT.ecdc")
@option(
    "--model", "name", type=Choice(MODELS), metavar="MODEL",
    show_default="that of --checkpoint, else encodec_24khz", help="Model: encodec_24khz or encodec_48khz.",
)  # fmt: skip
@option(
    "--kbps", type=float, default=6, metavar="KBPS",
    help="Bit rate: 1.5 (24 kHz only), 3, 6, 12, or 24 (not with the bundled weights).",
)  # fmt: skip
@option("--lm", is_flag=True, help="Store the same codes in fewer bits, with a language model.")
@checkpoint_option
@language_model_option
@option(
    "--container", type=Choice(["earmark", "reference"]), default="earmark", metavar="earmark|reference",
    aliases=["--format"],
    help="File format: `earmark` detects damage; `reference` is for the programs of the public EnCodec.",
)  # fmt: skip
@shared.device
@shared.force
@shared.dry_run
@shared.quiet
def encode(
    source: Path, target: Path, name: str | None, kbps: float, lm: bool, checkpoint: str | None,
    language_model: Path | None, container: Literal["earmark", "reference"], device: str | None, force: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Code the recording IN with EnCodec to OUT.ecdc. Either may be - for a pipe.

    IN is a WAV, FLAC, Ogg, Opus, MP3 or AIFF file, mono or stereo, of any sample rate. A pipe must carry WAV, and is
    coded while it arrives. Stereo is averaged for encodec_24khz, and mono is repeated for encodec_48khz. The decoded
    audio is as long as IN, rounded to a sample at the model's rate.
    """
    if target != PIPE and target.suffix.lower() != ".ecdc":
        raise UserError(f"{target}: codes go to a file that ends in .ecdc, or to - for a pipe")
    require_new(target, force)
    if source == PIPE and container == "reference":
        raise UserError("--container reference: needs the length first, which a pipe does not give; use a file as IN")
    if checkpoint is None and container == "reference":
        checkpoint = OFFICIAL  # readers of that format have no other weights
    recording = open_recording(source)
    choice = ModelChoice(checkpoint, language_model, device)
    model, identity = choice.load(name or MODELS[0])
    config = model.config
    if name not in (None, config.name):
        raise UserError(f"--model {name}: {checkpoint} is a checkpoint of {config.name}")
    recording = recording.converted(config.sample_rate, config.channels)
    _require_rate(config, kbps, checkpoint)
    coder = choice.coder_for(config, container, identity) if lm or language_model is not None else None

    if dry_run:
        show_preview({
            "input": f"{source}: {_duration(recording.samples, config.sample_rate)}",
            "model": f"{config.name}, {config.sample_rate} Hz, {counted(config.channels, 'channel')}",
            "bit rate": f"{kbps:g} kbps{'' if coder is None else ' at most, reduced by the language model'}",
            "output": target,
        })  # fmt: skip
        return

    from earmark.codec import ecdc, recordings

    coded = 0
    with writing(target) as sink, progress_of(target, recording.samples, config.sample_rate) as advance:
        writer = ecdc.open_writer(
            sink, config, config.codebooks(kbps), recording.samples, format=container, model_identity=identity,
            language_model=coder is not None, coder=coder,
        )  # fmt: skip
        for samples in recordings.encode(recording, model, kbps, writer):
            sink.flush()
            advance(samples)
            coded += samples
    if target != PIPE:
        seconds = coded / config.sample_rate
        click.echo(f"{target}: {seconds:.2f} s at {writer.payload_bytes * 8 / seconds / 1000:.2f} kbps")


def _duration(samples: int | None, sample_rate: int) -> str:
    return "of unknown length" if samples is None else f"{samples / sample_rate:.2f} s"


def _require_rate(config: EncodecConfig, kbps: float, checkpoint: str | None) -> None:
    if kbps not in config.kbps:
        rates = ", ".join(f"{rate:g}" for rate in config.kbps)
        others = "" if checkpoint else "; the official ones have more, by --checkpoint official"
        raise UserError(f"--kbps {kbps:g}: these weights of {config.name} have {rates} kbps{others}")


@command(
    short_help="Decode an .ecdc file to audio",
    examples=["earmark decode speech.ecdc speech.wav", "earmark decode - - < talk.ecdc | aplay"],
    environment=CACHE,
    exit_status={1: "the file is damaged; the undamaged parts were decoded"},
)
@click.argument("source", type=CodedFile(), metavar="IN.ecdc")
@click.argument("target", type=FILE, metavar="OUT")
@checkpoint_option
@language_model_option
@shared.device
@shared.force
@shared.dry_run
@shared.quiet
def decode(
    source: Path, target: Path, checkpoint: str | None, language_model: Path | None, device: str | None, force: bool,
    dry_run: bool,
) -> int:  # fmt: skip
    """Decode IN.ecdc to OUT, a .wav, .flac or .ogg file. Either may be - for a pipe.

    OUT has the model's sample rate and channels, and 16 bits. A pipe gets WAV with a header of unknown length. Damaged
    parts of IN.ecdc decode to silence, and each is reported on one line.
    """
    from earmark.codec import ecdc
    from earmark.codec.audio.blocks import require_output

    if target != PIPE:
        require_output(target)
        require_new(target, force)
    choice = ModelChoice(checkpoint, language_model, device)
    with reading(source) as file:
        label = "-" if source == PIPE else str(source)
        given = choice.load_given()
        config = given[0].config if given else None
        reader = ecdc.open_reader(file, config, coder=lambda header: choice.coder_of(header, config, f"{label}: "))
        model = _model_of(reader.header, given, choice, label)
        if dry_run:
            config, length = model.config, _duration(reader.header.samples, model.config.sample_rate)
            show_preview(
                {
                    "input": f"{label}: {length} of {reader.header.model}",
                    "output": f"{target}: {config.sample_rate} Hz, {counted(config.channels, 'channel')}, 16 bits",
                }
            )
            return 0
        limited = _write_decoded(model, reader, target, label)
    if limited:
        click.echo(f"note: {limited} samples were beyond full scale and limited to it", err=True)
    for damage in reader.damage:
        click.echo(f"damaged: {label}: {damage.what}", err=True)
    return 1 if reader.damage else 0


def _model_of(header: Header, given: tuple[EncodecModel, str] | None, choice: ModelChoice, label: str) -> EncodecModel:
    """The model that wrote a file: the one of --checkpoint FILE, or the one that the file names."""
    if given is None:
        if header.model not in MODELS:
            raise UserError(f"{label}: codes of the model {header.model!r}; give its weights by --checkpoint")
        # A file in the public format does not name its weights; they are the official ones.
        given = (choice if header.model_identity else replace(choice, checkpoint=OFFICIAL)).load(header.model)
    model, identity = given
    try:
        header.require_model(model.config, identity)
    except UserError as error:
        raise UserError(f"{label}: {error}") from error
    return model


def _write_decoded(model: EncodecModel, reader: PartReader, target: Path, label: str) -> int:
    """Decode a file to `target`; the number of samples that were limited to full scale."""
    from earmark.codec import recordings
    from earmark.codec.audio import to_pcm16

    rate, limited = model.config.sample_rate, 0
    with (
        writing_audio(target, rate, model.config.channels) as write,
        progress_of(target, reader.header.samples, rate) as advance,
    ):
        for block in recordings.decode(model, reader, label):
            pcm, beyond = to_pcm16(block)
            write(pcm)
            advance(len(pcm))
            limited += beyond
    return limited


@command(
    short_help="Show what an .ecdc file holds",
    examples=["earmark inspect speech.ecdc"],
    environment=CACHE,
    exit_status={1: "the file is damaged"},
)
@click.argument("file", type=CodedFile(), metavar="FILE.ecdc")
@language_model_option
def inspect(file: Path, language_model: Path | None) -> int:
    """Print what FILE.ecdc holds as JSON: model, length, bit rate, segments, damage, SHA-256 of the codes.

    If the file needs a language model that is not on this machine, the values
    that depend on its payload are null.
    """
    from earmark.codec import ecdc

    facts = ecdc.inspect(file)
    if facts["entropy"] != "raw":
        try:
            facts = ecdc.inspect(file, coder=ModelChoice(language_model=language_model).coder_of)
        except UserError as error:
            if language_model is not None:
                raise
            click.echo(f"note: {file}: not read beyond its header: {error}", err=True)
    click.echo(json.dumps(facts, indent=2))
    return 1 if facts["damage"] else 0

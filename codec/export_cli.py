"""`earmark export`."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import Choice, command, option, shared
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.files import require_new

FOLDERS = ("huggingface", "onnx")  # forms that are folders
SUFFIXES = {"earmark": ".safetensors", "encodec": ".th"}


@command(
    short_help="Write a codec for other programs",
    examples=[
        "earmark export training/ -o mine.safetensors",
        "earmark export training/checkpoints/best.pt -o best.safetensors",
        "earmark export mine.safetensors --format onnx -o mine-onnx/",
        "earmark export facebook/encodec_32khz --format huggingface -o encodec_32khz/",
    ],
    environment={"EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark]."},
)
@click.argument("source", metavar="MODEL")
@option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="PATH", help="File or folder to write.")
@option(
    "--format", "form", type=Choice(["earmark", "huggingface", "encodec", "onnx"]), default="earmark",
    metavar="earmark|huggingface|encodec|onnx",
    help="Form of the result: a file for Earmark or the public EnCodec, a folder for transformers or ONNX Runtime.",
)  # fmt: skip
@shared.force
def export(source: str, out: Path, form: str, force: bool) -> None:
    """Write MODEL for other programs, or as one file.

    MODEL is a training folder or a state saved in it (state.pt), a checkpoint of any layout, a Hugging Face folder, an
    audiocraft compression checkpoint, a name on the Hugging Face hub that `earmark download` fetched, or encodec_24khz
    or encodec_48khz.
    """
    if (Path(source) / "scores.parquet").exists():
        raise UserError(f"{source} is a run, not a model; its codecs are in the checkpoints that it was given")
    require("torch", "safetensors", extra="encodec", for_="export")
    if form == "onnx":
        require("onnx", extra="onnx", for_="export --format onnx")
    _require_target(out, form, force)
    from earmark.codec.checkpoints import exports, loading
    from earmark.codec.encodec.config import PRESETS

    metadata: dict[str, str] = {}
    if (state := _state(source)) is not None:
        from earmark.codec.training.export import model_of_state

        model, metadata = model_of_state(state)
    else:
        model = loading.load(source if source in PRESETS else _source(source))
    if form == "earmark":
        loading.save(model, out, **metadata)
    elif form == "encodec":
        exports.to_encodec(model, out)
    elif form == "huggingface":
        exports.to_huggingface(model, out)
    else:
        exports.to_onnx(model, out)
    config = model.config
    rates = ", ".join(f"{kbps:g}" for kbps in config.kbps)
    click.echo(f"{out}: {config.name}, {config.sample_rate} Hz, {rates} kbps")


def _state(source: str) -> Path | None:
    """The state of a training that MODEL names: a saved state, or a folder without a model file yet."""
    path = Path(source)
    if path.is_dir():
        return path if (path / "state.pt").exists() and not (path / "model.safetensors").exists() else None
    from earmark.codec.training.start import state_of

    return state_of(path)


def _source(source: str) -> str | Path:
    """Source for `loading.load`: the model file of a training folder, or MODEL itself."""
    model = Path(source) / "model.safetensors"
    return model if model.is_file() and not model.with_name("config.json").exists() else source


def _require_target(out: Path, form: str, force: bool) -> None:
    if form in FOLDERS:
        if out.is_file():
            raise UserError(f"-o {out}: a file; {form} needs a folder")
        if out.is_dir() and any(out.iterdir()) and not force:
            raise UserError(f"{out}: exists; add --force to replace its files")
    elif out.suffix != SUFFIXES[form]:
        raise UserError(f"-o {out}: --format {form} makes a file that ends in {SUFFIXES[form]}")
    else:
        require_new(out, force)

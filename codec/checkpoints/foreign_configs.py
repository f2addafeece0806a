"""A model's shape from the configurations of other programs: `config.json` of transformers, `xp.cfg` of audiocraft."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from earmark.codec.checkpoints.config_json import config_from_json, config_to_json
from earmark.codec.encodec.config import PRESETS, EncodecConfig, SEANetConfig
from earmark.codec.errors import UserError

# Key of transformers' EncodecConfig (5.23) -> field of SEANetConfig.
_TRANSFORMERS_SEANET = {
    "audio_channels": "channels", "hidden_size": "dimension", "num_filters": "filters", "upsampling_ratios": "ratios",
    "num_residual_layers": "residual_layers", "kernel_size": "kernel_size", "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size", "dilation_growth_rate": "dilation_base", "compress": "compress",
    "num_lstm_layers": "lstm", "norm_type": "norm", "use_causal_conv": "causal", "pad_mode": "pad_mode",
}  # fmt: skip
# Key of audiocraft's `seanet` section (1.3) -> field of SEANetConfig.
_AUDIOCRAFT_SEANET = {
    "channels": "channels", "dimension": "dimension", "n_filters": "filters", "ratios": "ratios",
    "n_residual_layers": "residual_layers", "kernel_size": "kernel_size", "last_kernel_size": "last_kernel_size",
    "residual_kernel_size": "residual_kernel_size", "dilation_base": "dilation_base", "compress": "compress",
    "true_skip": "true_skip", "lstm": "lstm", "norm": "norm", "causal": "causal", "pad_mode": "pad_mode",
}  # fmt: skip
_INTERPOLATION = re.compile(r"\$\{([\w.]+)\}")


def from_transformers(text: str) -> EncodecConfig:
    """Shape of the model that `config.json` of a Hugging Face folder describes; absent keys have their defaults there.

    Raises:
        UserError: not such a file, or a shape that Earmark cannot compute.
    """
    data = _mapping(json.loads, text, "config.json")
    if data.get("model_type") != "encodec":
        raise UserError(f"describes a model of type {data.get('model_type')!r}; Earmark loads the type 'encodec'")
    _require(data, "trim_right_ratio", 1.0)
    _require(data, "codebook_dim", data.get("hidden_size", 128), None)
    seanet = {ours: data[key] for key, ours in _TRANSFORMERS_SEANET.items() if key in data}
    seanet["true_skip"] = not data.get("use_conv_shortcut", True)
    return _checked(
        seanet, data.get("sampling_rate", 24000), data.get("target_bandwidths", [1.5, 3.0, 6.0, 12.0, 24.0]),
        codebook_size=data.get("codebook_size", 1024), segment=data.get("chunk_length_s"),
        overlap=data.get("overlap") or 0.01, normalize=data.get("normalize", False),
    )  # fmt: skip


def from_audiocraft(text: str) -> EncodecConfig:
    """Shape of the model that `xp.cfg` of an audiocraft compression checkpoint describes, in YAML.

    Raises:
        UserError: not such a configuration, or a shape that Earmark cannot compute.
    """
    data = _mapping(yaml.safe_load, text, "xp.cfg")
    if data.get("compression_model") != "encodec":
        raise UserError(f"describes a {data.get('compression_model')!r} model; Earmark loads 'encodec'")
    encodec, seanet, rvq = (_resolved(data.get(name), data) for name in ("encodec", "seanet", "rvq"))
    _require(encodec, "autoencoder", "seanet")
    _require(encodec, "quantizer", "rvq")
    _require(seanet, "activation", "ELU")
    _require(seanet, "disable_norm_outer_blocks", 0)
    _require(seanet, "encoder", {}, None)
    decoder = seanet.get("decoder") or {}
    _require(decoder, "trim_right_ratio", 1.0)
    _require(decoder, "final_activation", None, "Tanh")
    if other := decoder.keys() - {"trim_right_ratio", "final_activation", "final_activation_params"}:
        raise UserError(f"seanet.decoder.{min(other)}: Earmark's decoder has the shape of its encoder")
    shape = {ours: seanet[key] for key, ours in _AUDIOCRAFT_SEANET.items() if key in seanet}
    shape["tanh"] = decoder.get("final_activation") == "Tanh"
    rate: Any = encodec.get("sample_rate")
    codebooks: Any = rvq.get("n_q")
    size: Any = rvq.get("bins")
    try:
        per_codebook = math.log2(size) * math.ceil(rate / math.prod(shape["ratios"])) / 1000
        counts: Sequence[int] = range(1, codebooks + 1) if rvq.get("q_dropout") else [codebooks]
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise UserError(f"xp.cfg: {error}: the sample rate, seanet.ratios, rvq.n_q or rvq.bins is no number") from error
    rates = [round(count * per_codebook, 6) for count in counts]
    return _checked(shape, rate, rates, codebook_size=size, normalize=bool(encodec.get("renormalize")))


def to_transformers(config: EncodecConfig) -> str:
    """`config.json` of transformers for a model.

    Raises:
        UserError: if transformers' EncodecModel cannot have this shape.
    """
    seanet = config.seanet
    if seanet.tanh or seanet.norm not in ("weight_norm", "time_group_norm"):
        raise UserError(f"{config.name}: transformers has no tanh at the end of a decoder, and no norm {seanet.norm!r}")
    if (seanet.activation, seanet.encoder_block, seanet.decoder_block, config.codebook_dim) != (
        "elu", "residual", "residual", 0,
    ):  # fmt: skip
        raise UserError(f"{config.name}: transformers has ELU, the paper's residual units and plain codebooks only")
    data: dict[str, Any] = {key: getattr(seanet, ours) for key, ours in _TRANSFORMERS_SEANET.items()}
    data |= {
        "model_type": "encodec", "architectures": ["EncodecModel"], "sampling_rate": config.sample_rate,
        "target_bandwidths": config.kbps, "codebook_size": config.codebook_size, "codebook_dim": seanet.dimension,
        "chunk_length_s": config.segment, "overlap": config.overlap if config.segment else None,
        "normalize": config.normalize, "use_conv_shortcut": not seanet.true_skip, "trim_right_ratio": 1.0,
    }  # fmt: skip
    return json.dumps(data, indent=2) + "\n"


def _mapping(parse: Any, text: str, name: str) -> Mapping[str, Any]:
    try:
        data = parse(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{name} cannot be read ({type(error).__name__})") from error
    if not isinstance(data, Mapping):
        raise UserError(f"{name} holds no settings")
    return data


def _resolved(section: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A section whose values `${a.b}` are replaced by the values at a.b."""
    if not isinstance(section, Mapping):
        raise UserError("xp.cfg: a section encodec, seanet or rvq is missing")
    return {key: _value(value, root, 0) for key, value in section.items()}


def _value(value: Any, root: Mapping[str, Any], depth: int) -> Any:
    if isinstance(value, str) and (match := _INTERPOLATION.fullmatch(value)) and depth < 8:
        found: Any = root
        for part in match[1].split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return _value(found, root, depth + 1)
    return value


def _require(data: Mapping[str, Any], key: str, *allowed: Any) -> None:
    if key in data and data[key] not in allowed:
        raise UserError(f"{key} = {data[key]!r}: Earmark computes {' or '.join(map(repr, allowed))} only")


def _checked(seanet: dict[str, Any], rate: Any, kbps: Any, **rest: Any) -> EncodecConfig:
    """A configuration of one of the public models under its name, of others under the name encodec_32khz and so on."""
    try:
        shape = SEANetConfig(**{**seanet, "ratios": tuple(seanet.get("ratios", SEANetConfig.ratios))})
        given = EncodecConfig(f"encodec_{rate / 1000:g}khz", rate, tuple(map(float, kbps)), shape, **rest)
        config = config_from_json(config_to_json(given))
    except (TypeError, ValueError) as error:
        raise UserError(f"settings of the wrong type ({error})") from error
    preset = PRESETS.get(config.name)
    return preset if preset is not None and replace(preset, kbps=config.kbps) == config == preset else config

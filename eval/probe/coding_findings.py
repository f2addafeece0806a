"""Findings on the codec itself: repeatability, formats, bit rate, speed."""

from __future__ import annotations

import math
from collections import defaultdict

from earmark.eval.probe import rates
from earmark.eval.probe.coder import Format
from earmark.eval.probe.finding import Finding, Verdict
from earmark.eval.probe.repeatability import Repeatability, repeatability
from earmark.eval.probe.session import Session
from earmark.eval.tables.numbers import factor_text


def repeatability_finding(session: Session) -> Finding:
    """Determinism, and state that passes from one call to the next."""
    repeats = [one.call for one in session.repeats if one.call is not None]
    if session.first.call is None or len(repeats) < len(session.repeats):
        return Finding("determinism", "unknown", "note", "The codec fails on speech.")
    result = repeatability(session.first.call, repeats)
    values = {"repeats": result.verdict, "difference_db": result.difference, "bitstreams_differ": result.encoder}
    if result.verdict == "same":
        return Finding("determinism", "equal in every call and in a fresh process, no state", "ok", "", values)
    measured, advice = _TEXTS[result.verdict]
    verdict: Verdict = "note" if result.verdict == "rounding" else "fault"
    return Finding("determinism", f"{measured} ({_difference(result)})", verdict, advice, values)


_TEXTS = {
    "rounding": (
        "equal but for rounding",
        "Scores repeat to their printed digits. For equal bits, use one thread and deterministic algorithms.",
    ),
    "random": (
        "random: the same recording gives another result in each call",
        "Scores cannot be repeated. Seed every random generator at the start of encode and decode.",
    ),
    "process": (
        "another result in another process",
        "Scores cannot be repeated. Look for a seed, a hash or an address that differs between processes.",
    ),
    "leak": (
        "state leaks from one call to the next",
        "A score then depends on the recordings before it. Make a new encoder and decoder in each call, and seed "
        "random generators there.",
    ),
    "leak beyond the process": (
        "state leaks from one call to the next, even to another process",
        "A score then depends on the recordings before it. The codec keeps a file or a server; use a new one in each "
        "call.",
    ),
}


def _difference(result: Repeatability) -> str:
    where = "bitstreams differ" if result.encoder else "the decoder differs, bitstreams are equal"
    if result.difference is None:
        return f"{where}, decoded audio is equal"
    if not math.isfinite(result.difference):
        return where
    return f"by {result.difference:.0f} dB; {where}".replace("-", "−")


def formats_finding(session: Session) -> Finding:
    """Sample rates and channel counts of sources that the codec takes."""
    able: defaultdict[tuple[int, Format | None], list[str]] = defaultdict(list)
    failed: dict[str, str] = {}
    for asked, result in session.formats.items():
        name = f"{asked.sample_rate / 1000:g} kHz {'mono' if asked.channels == 1 else 'stereo'}"
        if result.failure is None:
            own = result.own if result.own != asked else None
            able[asked.channels, own].append(f"{asked.sample_rate / 1000:g}")
        else:
            failed[name] = result.failure
    parts = [_format_text(channels, own, names) for (channels, own), names in able.items()]
    values = {"accepted": parts, "failed": failed}
    if failed:
        name, reason = next(iter(failed.items()))
        return Finding(
            "formats", f"{'; '.join(parts)}; not {', '.join(failed)}", "note",
            f"Recordings of the latter get no score ({name}: {reason}). Convert them in the command, or give a class "
            "with its own sample_rate and channels: then Earmark converts.", values,
        )  # fmt: skip
    return Finding("formats", "; ".join(parts), "ok", "", values)


def _format_text(channels: int, own: Format | None, names: list[str]) -> str:
    text = f"{', '.join(names)} kHz {'mono' if channels == 1 else 'stereo'}"
    if own is None:
        return text
    return f"{text} coded at {own.sample_rate / 1000:g} kHz {'mono' if own.channels == 1 else 'stereo'}"


def bit_rate_finding(session: Session) -> Finding:
    """Measured against nominal bit rate."""
    if not session.coded:
        return Finding("bit rate", "none: not a codec", "ok", "")
    rate = rates.bit_rate(session.passages, session.own.sample_rate)
    values = {
        "kbps": dict(rate.by_signal),
        "growth_kbps": rate.growth,
        "fixed_bits": rate.fixed,
        "nominal": session.kbps,
    }
    shown = [f"{name} {rate.by_signal[name]:.2f}" for name in ("speech", "noise", "silence") if name in rate.by_signal]
    nominal = "no nominal rate" if session.kbps is None else f"nominal {session.kbps:g}"
    text = f"{', '.join(shown)} kbps; {nominal}"
    header = ""
    if rate.has_header:
        header = f" About {(rate.fixed or 0) / 8:.0f} bytes per file do not grow with its length, such as a header."
    if session.kbps is not None and rate.is_off(session.kbps):
        return Finding(
            "bit rate", text, "note",
            "The tables show the measured bit rate. Compare by it, or correct the encoder's setting." + header, values,
        )  # fmt: skip
    if header:
        return Finding("bit rate", text, "note", header.strip(), values)
    return Finding("bit rate", text, "ok", "", values)


def speed_finding(session: Session) -> Finding:
    """Real-time factors."""
    found = rates.speeds(session.passages.values(), session.own.sample_rate)
    if found is None:
        return Finding("speed", "not measured: encoder and decoder are one", "ok", "")
    values = {"encode": found[0], "decode": found[1]}
    text = f"encodes {factor_text(found[0])}, decodes {factor_text(found[1])} times as fast as real time"
    if min(found) < 1:
        advice = "Slower than real time. Start with few and short recordings."
        return Finding("speed", text, "note", advice, values)
    return Finding("speed", text, "ok", "", values)

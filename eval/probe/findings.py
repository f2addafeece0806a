"""Judge what was measured: one finding per property, with advice."""

from __future__ import annotations

from collections.abc import Mapping

from earmark.codec.audio import Audio
from earmark.eval.probe import delays, transmission
from earmark.eval.probe.coding_findings import bit_rate_finding, formats_finding, repeatability_finding, speed_finding
from earmark.eval.probe.finding import Finding, Verdict
from earmark.eval.probe.session import Session
from earmark.eval.probe.stereo import stereo_finding
from earmark.eval.tables.numbers import signed

Signals = Mapping[str, tuple[Audio, Audio]]
NOTABLE_GAIN = 1.0  # dB
FULL_BAND = 0.9  # of half the sample rate
AUDIBLE = -70.0  # dBFS of the output for silence
INAUDIBLE = -150.0  # dBFS, below the last bit of 24
FULL_SCALE = 0.98  # amplitude from which clipping is that of the sample format


def findings(session: Session) -> list[Finding]:
    """All findings on what a codec did, in the order of the page."""
    rate = session.own.sample_rate
    came_back = {name: (one.source, one.call.decoded) for name, one in session.passages.items() if one.call is not None}
    bad = transmission.not_finite(came_back)
    signals = {name: pair for name, pair in came_back.items() if name not in bad and pair[1].shape[-1] > 0}
    result = [_failures(session, bad)]
    played = delays.played_at(*signals["noise"], rate) if "noise" in signals else None
    conversions = sorted({note for one in session.passages.values() if one.call for note in one.call.notes})
    result.append(_sample_rate(played, conversions, rate))
    if played is None and signals:
        aligned = delays.alignments(signals, rate)
        late = delays.delay(signals, aligned, rate)
        result += [_delay(late, rate), _polarity(late), _gain(delays.gain_db(aligned))]
        result.append(_bandwidth(signals, late.samples or 0.0, rate))
        result += [_noise_floor(signals), _clipping(signals), _length(signals, aligned, rate)]
    else:
        result += [_noise_floor(signals), _clipping(signals)]
    result.append(stereo_finding(session))
    result += [repeatability_finding(session), formats_finding(session), bit_rate_finding(session)]
    return [*result, speed_finding(session)]


def _failures(session: Session, bad: list[str]) -> Finding:
    failed = {name: one.failure for name, one in session.passages.items() if one.failure is not None}
    verdict: Verdict = "fault" if failed else "note"
    failed |= {f"{length} samples": reason for length, reason in session.short.items() if reason is not None}
    values = {"failed": failed, "not_finite": bad}
    if failed:
        name, reason = next(iter(failed.items()))
        return Finding(
            "signals", f"{len(failed)} failed: {', '.join(failed)}", verdict, f"With {name}: {reason}.", values
        )
    if bad:
        return Finding(
            "signals", f"NaN or infinite samples for {', '.join(bad)}", "fault",
            "Such recordings get no score. Look for a division by zero, above all for silence.", values,
        )  # fmt: skip
    shortest = ", ".join(f"{length}" for length in session.short)
    return Finding("signals", f"all coded, also recordings of {shortest} samples", "ok", "", values)


def _sample_rate(played: tuple[int, int] | None, conversions: list[str], rate: int) -> Finding:
    if played is not None:
        own, source = (f"{one / 1000:g} kHz" for one in played)
        return Finding(
            "sample rate", f"the decoder gives {own} but says {source}", "fault",
            f"Every recording comes back at another speed. Let the decoder write {own} in its WAV header, or resample "
            f"to {source}.", {"plays_at": played[0], "sample_rate": rate},
        )  # fmt: skip
    if conversions:
        return Finding(
            "sample rate", f"converted: {', '.join(conversions)}", "note",
            "The decoder returns another format than it was given. It is converted and marked in the tables.",
            {"conversions": conversions, "sample_rate": rate},
        )  # fmt: skip
    return Finding("sample rate", f"{rate / 1000:g} kHz in and out", "ok", "", {"sample_rate": rate})


def _delay(late: delays.Delay, rate: int) -> Finding:
    values = {
        "samples": late.samples, "by_signal": dict(late.by_signal), "changes": list(late.changes),
        "approximate": late.approximate,
    }  # fmt: skip
    if late.samples is None:
        return Finding(
            "delay", "not found", "fault",
            "What comes back resembles no test signal. Listen to it; SI-SNR and alignment mean nothing.", values,
        )  # fmt: skip
    text = f"{signed(late.samples, 0 if late.samples == round(late.samples) else 2)} samples, "
    text = text.replace("+0 ", "0 ") + f"{1000 * late.samples / rate:.2f} ms".replace("-", "−")
    if late.changes:
        return Finding(
            "delay", f"{text}, not constant: {'; '.join(late.changes)}", "fault",
            "No single delay can be removed, so sample-by-sample metrics such as SI-SNR fail. Keep the decoder's clock "
            "and its buffers constant.", values,
        )  # fmt: skip
    if late.approximate or not late.by_signal:
        return Finding(
            "delay", f"about {text}", "note",
            "The codec does not keep waveforms, so that the delay is found by spectra, to about 2 ms. SI-SNR and "
            "SI-SDR mean nothing; use ViSQOL or PESQ.", values,
        )  # fmt: skip
    if abs(late.samples) >= 1:
        return Finding(
            "delay", f"{text}, constant", "note",
            "`compare` finds and removes it. If you remove it in the decoder, flush the encoder, so that the end of "
            "the recording is not lost.", values,
        )  # fmt: skip
    return Finding("delay", f"{text}, constant", "ok", "", values)


def _polarity(late: delays.Delay) -> Finding:
    if late.sign is None:
        return Finding("sign", "unknown", "note", "The codec does not keep waveforms.", {"sign": None})
    if late.sign < 0:
        return Finding(
            "sign", "inverted", "note",
            "`compare` corrects it before scoring. Look for a minus sign in the decoder.", {"sign": -1},
        )  # fmt: skip
    return Finding("sign", "kept", "ok", "", {"sign": 1})


def _gain(gain: float | None) -> Finding:
    if gain is None:
        return Finding("gain", "unknown", "note", "Nothing comes back that could be measured.", {"gain_db": None})
    if abs(gain) > NOTABLE_GAIN:
        return Finding(
            "gain", f"{signed(gain, 1)} dB (factor {10 ** (gain / 20):.2f})", "note",
            "The level is not corrected before scoring, and listeners prefer the louder of two codecs. If the codec is "
            "not meant to change it, restore it in the decoder.", {"gain_db": gain},
        )  # fmt: skip
    return Finding("gain", f"{signed(gain, 1)} dB", "ok", "", {"gain_db": gain})


def _bandwidth(signals: Signals, late: float, rate: int) -> Finding:
    found: dict[str, float | None] = {}
    if "sweep" in signals:
        found["sweep"] = transmission.bandwidth(transmission.sweep_response(*signals["sweep"], late), rate)
    if "noise" in signals:
        found["noise"] = transmission.bandwidth(transmission.noise_response(*signals["noise"], late), rate)
    known = {name: value for name, value in found.items() if value is not None}
    values = {f"{name}_hz": value for name, value in found.items()}
    if not known:
        return Finding("bandwidth", "unknown", "note", "Neither the sweep nor noise comes back.", values)
    text = ", ".join(f"{value / 1000:.1f} kHz ({name})" for name, value in known.items())
    if max(known.values()) < FULL_BAND * rate / 2:
        return Finding(
            "bandwidth", f"{text} of {rate / 2000:g} kHz", "note",
            "The codec drops what lies above, which ViSQOL and listeners notice beside codecs of a higher bandwidth.",
            values,
        )  # fmt: skip
    return Finding("bandwidth", text, "ok", "", values)


def _noise_floor(signals: Signals) -> Finding:
    if "silence" not in signals:
        return Finding("noise floor", "unknown", "note", "Silence was not decoded.")
    level = transmission.level_db(signals["silence"][1])
    if level is None or level < INAUDIBLE:
        return Finding("noise floor", "silence stays silent", "ok", "", {"dbfs": None})
    verdict = f"{signed(level, 1)} dBFS for silence"
    if level > AUDIBLE:
        return Finding(
            "noise floor", verdict, "note",
            "The codec makes audible sound of silence. Pauses will be noisy, and metrics that weigh pauses will fall.",
            {"dbfs": level},
        )  # fmt: skip
    return Finding("noise floor", verdict, "ok", "", {"dbfs": level})


def _clipping(signals: Signals) -> Finding:
    limit, peak = transmission.limit(signals), transmission.highest(signals)
    values = {"limit": limit.amplitude if limit else None, "peak": peak}
    if limit is not None and limit.amplitude < FULL_SCALE:
        return Finding(
            "clipping", f"at {limit.amplitude:.2f} of full scale ({limit.signal})", "fault",
            "Loud recordings are distorted. Check the scale of samples: full scale is 1.0, or 32767 in 16 bits.",
            values,
        )  # fmt: skip
    if limit is not None:
        return Finding(
            "clipping", f"at full scale ({limit.signal})", "note",
            "Decoded peaks exceed full scale and are cut by the sample format. Write float WAV to keep them.", values,
        )  # fmt: skip
    if peak > 1:
        return Finding(
            "clipping", f"none, peaks reach {peak:.2f} of full scale", "note",
            "Players and 16-bit files clip these peaks. Metrics see the unclipped signal.", values,
        )  # fmt: skip
    return Finding("clipping", "none", "ok", "", values)


def _length(signals: Signals, aligned: Mapping[str, object], rate: int) -> Finding:
    differences = transmission.length_differences(signals)
    least, most = min(differences.values()), max(differences.values())
    lost = max((getattr(one, "missing_end", 0) for one in aligned.values()), default=0)
    values = {"difference": differences, "missing_end": lost}
    range_text = signed(least, 0) if least == most else f"{signed(least, 0)} to {signed(most, 0)}"
    if lost > 0 and (least < 0 or lost > 1):
        text = f"the last {lost} samples are missing ({1000 * lost / rate:.1f} ms)"
        return Finding(
            "length", text, "fault" if lost > 0.05 * rate or least < 0 else "note",
            "The missing part is not scored. Flush the encoder: code zeros for the delay and the last frame after the "
            "end, then cut the output to the source's length.", values,
        )  # fmt: skip
    if most or least:
        return Finding(
            "length", f"{range_text} samples", "note",
            "The output is padded, e.g. to whole frames. `compare` cuts it.", values,
        )  # fmt: skip
    return Finding("length", "that of the source", "ok", "", values)

"""Treatment of two channels that differ: a codec keeps, swaps, folds or inverts them."""

from __future__ import annotations

from earmark.eval.alignment.aligner import align
from earmark.eval.alignment.result import CERTAIN
from earmark.eval.probe.finding import Finding, Verdict
from earmark.eval.probe.session import Session

_FAULTS: dict[str, tuple[str, Verdict, str]] = {
    "swapped": ("the channels are swapped", "fault", "Look at how the encoder or the decoder interleaves samples."),
    "channel lost": ("a channel is silent", "fault", "Look at how the decoder fills its channels."),
    "channel inverted": ("one channel is inverted", "fault", "Listeners hear it. Look for a sign in the decoder."),
    "folded": (
        "different channels come back as one signal", "note",
        "Codecs do so at low bit rates. If yours should not, look for a downmix.",
    ),
}  # fmt: skip


def stereo_finding(session: Session) -> Finding:
    """Channels that are mixed up."""
    if session.stereo is None:
        takes_stereo = any(one.channels == 2 and result.failure is None for one, result in session.formats.items())
        text = "mono: each channel is coded on its own, at twice the bit rate" if takes_stereo else "mono"
        return Finding("stereo", text, "ok", "", {"channels": None})
    source, call = session.stereo.source, session.stereo.call
    if call is None or call.decoded.shape[-1] == 0:
        reason = session.stereo.failure or "it returned no samples"
        return Finding("stereo", "fails on two channels that differ", "fault", reason, {"channels": "failed"})
    alignment = align(source, call.decoded, session.own.sample_rate).alignment
    for name, (text, verdict, advice) in _FAULTS.items():
        if name in alignment.names:
            return Finding("stereo", text, verdict, advice, {"channels": name})
    if (alignment.peak or 0.0) < CERTAIN:
        return Finding("stereo", "unknown: the codec does not keep waveforms", "note", "", {"channels": "unknown"})
    return Finding("stereo", "left and right stay as they are", "ok", "", {"channels": "kept"})

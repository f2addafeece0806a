"""Real encoders and decoders as commands: their bit rate and SI-SNR beside values that are found in another way."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from scipy import signal

from earmark.baselines.commands import read_command
from earmark.baselines.systems import family_of, parse
from earmark.codec import audio
from earmark.eval.alignment.aligner import align
from earmark.eval.metrics.si_snr import si_snr

FFMPEG = "ffmpeg -v error -y"
PROGRAMS = {
    "lame": "lame --quiet -b 48 {input} {bitstream} && lame --quiet --mp3input --decode {bitstream} {output}",
    "opusenc": "opusenc --quiet --bitrate 32 {input} {bitstream} && opusdec --quiet {bitstream} {output}",
    "speexenc": "speexenc --quality 8 -w {input} {bitstream} && speexdec {bitstream} {output}",
    "oggenc": "oggenc --quiet -q 3 -o {bitstream} {input} && oggdec --quiet -o {output} {bitstream}",
    "ffmpeg": f"{FFMPEG} -i {{input}} -c:a g722 -f wav {{bitstream}} && {FFMPEG} -i {{bitstream}} {{output}}",
}
WINDOW = 2048


def by_hand(source: np.ndarray, decoded: np.ndarray) -> float:
    """Best SI-SNR: the peak of the correlation, then the slope of the cross-spectrum's phase for the fraction."""
    whole = int(np.argmax(signal.correlate(decoded, source, method="fft"))) - (len(source) - 1)
    moved = np.roll(np.pad(decoded, (0, len(source))), -whole)[: len(source)]
    _, spectrum = signal.csd(source, moved, nperseg=WINDOW)
    _, coherence = signal.coherence(source, moved, nperseg=WINDOW)
    angle = 2 * np.pi * np.arange(len(spectrum)) / WINDOW
    weights = coherence * np.abs(spectrum)
    fraction = -np.sum(weights * angle * np.angle(spectrum)) / np.sum(weights * angle**2)
    turn = np.exp(2j * np.pi * fraction * np.fft.rfftfreq(2 * len(source)))
    exact = np.fft.irfft(np.fft.rfft(moved, 2 * len(source)) * turn)[: len(source)]
    scores = [si_snr(source[None], one[None].astype(np.float32)).value for one in (moved, exact)]
    return max(score for score in scores if score is not None)


@pytest.mark.parametrize("program", PROGRAMS)
def test_score_and_bit_rate_of_a_real_program(shared, tmp_path, program):
    """Within 0.5 dB of alignment by hand, and within 1 % of the packets that ffprobe lists."""
    if shutil.which(program) is None or shutil.which("ffprobe") is None:
        pytest.skip(f"{program} or ffprobe is not installed")
    whole = audio.read(shared / "audio" / "speech_libri_f_198.ogg")
    source = np.round(whole.samples[:1, 16000 : 16000 * 5] * 32767).astype(np.float32) / 32768
    system = parse("mine", {"mine": read_command(f"mine={PROGRAMS[program]}")})
    codec = family_of(system).open(system, whole.sample_rate, 1)
    encoded = codec.encode(source)
    decoded = codec.decode(encoded)
    score = si_snr(source, align(source, decoded, whole.sample_rate).audio).value
    assert score == pytest.approx(by_hand(source[0], decoded[0]), abs=0.5)

    (tmp_path / "coded").write_bytes(encoded.packets[0])
    listed = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", tmp_path / "coded"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    bits = 8 * sum(int(line.strip(",")) for line in listed.stdout.split())
    assert encoded.bits == pytest.approx(bits, rel=0.01)
    assert encoded.seconds == pytest.approx(source.shape[1] / whole.sample_rate, abs=0.15)  # and padding, a few frames

"""Options of Opus, checked in the packets by the rules of RFC 6716."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from earmark.baselines.opus import bundled_libopus, find_libopus
from earmark.baselines.systems import family_of, parse
from earmark.codec.errors import UserError

FRAMES_OF_CONFIG = {  # RFC 6716, table 2: ms by the TOC byte's configuration number
    **{config: (10, 20, 40, 60)[config % 4] for config in range(12)},
    **{config: (10, 20)[config % 2] for config in range(12, 16)},
    **{config: (2.5, 5, 10, 20)[config % 4] for config in range(16, 32)},
}


def noise(seconds: float = 1.0, rate: int = 48000, channels: int = 1) -> np.ndarray:
    white = np.random.default_rng(0).standard_normal((channels, round(seconds * rate)))
    return (0.05 * lfilter([1], [1, -0.95], white)).astype(np.float32)


def encode(text: str, audio: np.ndarray | None = None):
    system = parse(text)
    codec = family_of(system).open(system, 48000, 1)
    return codec, codec.encode(noise() if audio is None else audio)


def configurations(packets: tuple[bytes, ...]) -> set[int]:
    return {packet[0] >> 3 for packet in packets}


def milliseconds(packet: bytes) -> float:
    """Duration by the TOC byte (RFC 6716, section 3.1): code 0 one frame, 1 and 2 two, 3 the count that follows."""
    count = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[packet[0] & 3]
    return FRAMES_OF_CONFIG[packet[0] >> 3] * count


@pytest.mark.parametrize("frame", ["2.5", "5", "10", "20", "40", "60"])
@pytest.mark.parametrize("kbps", [32, 64])
def test_the_frame_size_is_the_chosen_one(frame, kbps):
    codec, encoded = encode(f"opus@{kbps}:frame={frame}")
    assert {milliseconds(packet) for packet in encoded.packets} == {float(frame)}
    decoded = codec.decode(encoded)
    assert decoded.shape == (1, 48000)
    assert np.corrcoef(decoded[0], noise()[0])[0, 1] > 0.5


@pytest.mark.parametrize("kbps", [6, 12, 64, 128])
def test_cbr_packets_are_all_of_the_nominal_size(kbps):
    """kbps x 20 ms / 8 bits = 2.5 bytes per kbps."""
    _, encoded = encode(f"opus@{kbps}:vbr=off")
    assert {len(packet) for packet in encoded.packets} == {round(2.5 * kbps)}


@pytest.mark.parametrize("vbr", ["on", "constrained"])
def test_vbr_packets_vary(vbr):
    assert len({len(packet) for packet in encode(f"opus@32:vbr={vbr}")[1].packets}) > 1


def test_the_constraint_keeps_a_tonal_signal_at_its_rate():
    """Free VBR exceeds the rate for tones; constrained VBR may do so for no longer than a frame (RFC 6716, 2.1.8)."""
    time = np.arange(2 * 48000) / 48000
    tones = sum(0.02 * np.sin(2 * np.pi * 261 * k * time) for k in range(1, 40))[None].astype(np.float32)
    free, constrained = (encode(f"opus@64:vbr={vbr}", tones)[1].payload_bits / 2000 for vbr in ("on", "constrained"))
    assert constrained == pytest.approx(64, rel=0.03)
    assert free > 1.2 * 64


@pytest.mark.parametrize(
    ("bandwidth", "configs"),  # RFC 6716, table 2; CELT has no medium band
    [("nb", {*range(0, 4), *range(16, 20)}), ("mb", {*range(4, 8)}), ("wb", {*range(8, 12), *range(20, 24)}),
     ("swb", {12, 13, *range(24, 28)}), ("fb", {14, 15, *range(28, 32)})],
)  # fmt: skip
def test_the_bandwidth_is_forced(bandwidth, configs):
    assert configurations(encode(f"opus@14:bandwidth={bandwidth}:application=voip")[1].packets) <= configs


def test_low_delay_is_celt_only_with_less_lookahead():
    """Configurations 16 to 31 are CELT; without the 4 ms of the SILK resampler, 2.5 ms of lookahead remain."""
    codec, encoded = encode("opus@24:application=lowdelay")
    assert min(configurations(encoded.packets)) >= 16
    assert codec.lookahead == 120


def test_complexity_changes_the_bits():
    assert encode("opus@16:complexity=0")[1] != encode("opus@16")[1]


def test_default_values_of_options_are_dropped():
    assert parse("opus@12.0:frame=20:complexity=10") == parse("opus@12")
    assert parse("opus@12:frame=10:vbr=off").text == "opus@12:vbr=off:frame=10"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("opus@12:frame=7", "frame is one of 20, 2.5, 5, 10, 40, 60, not '7'"),
        ("opus@12:vbr", "vbr is one of constrained, on, off, not ''"),
        ("opus@12:complexity=11", "complexity is one of 10, 0, 1"),
        ("opus@12:vbr=on:vbr=off", "vbr is given twice"),
    ],
)
def test_mistakes_in_options_are_one_line(text, says):
    with pytest.raises(UserError, match=says):
        parse(text)


def test_two_versions_of_the_library_in_one_process():
    """Versions sound different, so each is recorded, and neither replaces the other."""
    bundled, installed = bundled_libopus(), find_libopus("system")
    if bundled is None or installed is None:
        pytest.skip("needs both PyAV's libopus and the system's")
    systems = [parse(f"opus@12:library={bundled}"), parse("opus@12:library=system")]
    versions = [family_of(system).version(system) for system in systems]
    if versions[0] == versions[1]:
        pytest.skip("both libraries are of one version")
    payloads = [family_of(system).open(system, 48000, 1).encode(noise()).packets for system in systems]
    assert payloads[0] != payloads[1]
    assert find_libopus() == max(zip(versions, (bundled, installed), strict=True))[1]


def test_a_missing_library_is_reported(tmp_path):
    system = parse(f"opus@12:library={tmp_path}/libopus.so.9")
    assert "does not load" in family_of(system).unavailable(system)
    assert "EARMARK_LIBOPUS" in family_of(system).unavailable(system)

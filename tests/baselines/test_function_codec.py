"""`as_codec`: a torch module or a plain function as a codec, here and in worker processes; its identity."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from earmark.baselines import parcels
from earmark.baselines.definition import digest
from earmark.baselines.function_codec import as_codec
from earmark.baselines.parcels import Parcel
from earmark.baselines.registry import family_of
from earmark.baselines.systems import as_system
from earmark.baselines.transcode import Transcoded, transcode
from earmark.codec.errors import UserError


def noise(rate: int = 16000, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, rate))).astype(np.float32)


def coded(codec: object, channels: int = 1) -> Transcoded:
    system = as_system(codec)
    return transcode(family_of(system).open(system, 16000, channels), noise(channels=channels), 16000, any_length=True)


def quantised(audio: np.ndarray) -> np.ndarray:
    return np.round(audio * 128) / 128


def test_a_plain_function_is_a_codec_with_a_stated_bit_rate():
    codec = as_codec(quantised, "coarse", sample_rate=16000, kbps=6.5)
    system = as_system(codec)
    assert (system.text, system.family, family_of(system).kbps(system)) == ("coarse@6.5", "coarse", 6.5)
    result = coded(codec)
    np.testing.assert_array_equal(result.audio, quantised(noise()))
    assert (result.payload_bits, result.encode_seconds, result.decode_seconds) == (6500, None, None)
    assert coded(codec, channels=2).payload_bits == 13000  # a mono codec codes both channels


def test_without_a_bit_rate_it_has_none():
    codec = as_codec(quantised, "coarse", sample_rate=16000)
    assert as_system(codec).text == "coarse"
    assert not codec.coded


def test_a_function_is_told_rate_and_bit_rate_if_it_has_parameters_for_them():
    told = []

    def listening(audio, sample_rate, kbps):
        told.append((sample_rate, kbps))
        return audio[0, :-100].astype(np.float64)  # [time], its last frame is missing

    result = coded(as_codec(listening, "listening", sample_rate=8000, kbps=3))
    assert told == [(8000, 3.0)]
    assert result.audio.shape == (1, 15800)


def test_a_torch_module_is_a_codec_and_keeps_its_mode_and_leaves_no_gradients():
    torch = pytest.importorskip("torch")

    class Halving(torch.nn.Module):
        def __init__(self, several: bool) -> None:
            super().__init__()
            self.gain, self.several = torch.nn.Parameter(torch.tensor(0.5)), several

        def forward(self, audio):
            assert audio.shape == (1, 1, 16000)
            assert not self.training
            return (audio * self.gain, "codes") if self.several else audio * self.gain

    for several in (False, True):
        module = Halving(several)
        codec = as_codec(module, "halving", sample_rate=16000, kbps=6)
        np.testing.assert_array_equal(coded(codec).audio, 0.5 * noise())
        there = pickle.loads(pickle.dumps(as_system(codec)))
        np.testing.assert_array_equal(coded(there).audio, 0.5 * noise())
        assert module.training
        assert module.gain.grad is None
    trained = as_codec(module, "halving", sample_rate=16000, kbps=6).version()
    module.gain.data += 0.1
    assert as_codec(module, "halving", sample_rate=16000, kbps=6).version() != trained


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"function": 3}, "as_codec mine: int is no function or torch module"),
        ({"name": "my codec"}, "as_codec 'my codec': use letters, digits and underscores"),
        ({"sample_rate": 0}, "as_codec mine: sample_rate=0 is not a rate in Hz"),
        ({"channels": 3}, "as_codec mine: channels=3 is not 1 or 2"),
        ({"kbps": -6}, "as_codec mine: kbps=-6 is not a bit rate"),
    ],
)
def test_a_mistake_is_one_line(arguments, says):
    with pytest.raises(UserError, match=says) as caught:
        as_codec(**({"function": quantised, "name": "mine", "sample_rate": 16000} | arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda audio: audio.T, r"mine: returned an array \[16000, 1\] for a source \[1, 16000\]"),
        (lambda audio: (audio * 100).astype(np.int16), "mine: returned samples of type int16"),
        (lambda audio: audio[None, None], r"mine: returned an array \[1, 1, 1, 16000\]; return \[channels, time\]"),
    ],
)
def test_what_is_no_decoded_signal_is_refused(answer, says):
    with pytest.raises(UserError, match=says):
        coded(as_codec(answer, "mine", sample_rate=16000))


def test_the_bit_rate_is_part_of_its_name():
    codec = as_codec(quantised, "coarse", sample_rate=16000, kbps=6)
    from earmark.baselines.systems import parse

    assert parse("coarse", {"coarse": codec}).text == "coarse"
    with pytest.raises(UserError, match="coarse@7: it has 6 kbps alone; write coarse@6"):
        parse("coarse@7", {"coarse": codec})


def test_a_large_codec_goes_to_other_processes_once_as_a_file():
    parcel = Parcel(bytes(parcels.LARGE))
    sent = pickle.dumps(parcel)
    assert len(sent) < 1000
    there = pickle.loads(sent)
    assert (there, there.content) == (parcel, parcel.content)
    with parcels.sent_whole():
        assert len(pickle.dumps(parcel)) > parcels.LARGE
    file = parcel._file
    assert file is not None
    assert file.is_file()
    del parcel
    assert not file.exists()


NOTEBOOK = """
GAIN = 0.5
LABEL = "unused"

def helper(audio):
    return audio * GAIN

class Codec:
    def encode(self, audio):
        return helper(audio)

made = Codec()
"""


def defined(source: str) -> dict:
    """Run a cell of a notebook, which no file holds."""
    cell = {"__name__": "__main__"}
    exec(source, cell)
    return cell


def test_the_identity_of_a_cell_covers_what_it_uses_and_nothing_else():
    first = defined(NOTEBOOK)
    for name in ("Codec", "made", "helper"):
        same = [digest(defined(text)[name]) for text in (NOTEBOOK, "\n\n" + NOTEBOOK, NOTEBOOK.replace("unused", "x"))]
        assert same == [digest(first[name])] * 3
        for change in (("GAIN = 0.5", "GAIN = 0.6"), ("audio * GAIN", "GAIN + audio")):
            assert digest(defined(NOTEBOOK.replace(*change))[name]) != digest(first[name])
    assert digest(defined(NOTEBOOK.replace("encode", "encode_all"))["made"]) != digest(first["made"])

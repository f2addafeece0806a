"""HILCodec's protocol of networks and states, on small networks of the same inputs and outputs.

The stand-ins: an encoder that gives how much the mean of a hop differs from that of the one before, code books of ever
finer steps, and a decoder that adds the differences up again. Both are wrong where a state is lost or left over.
"""

from __future__ import annotations

import numpy as np
import pytest

from earmark.baselines import hilcodec
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.errors import UserError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def save(path, nodes, inputs, outputs, constants=()) -> None:
    graph = helper.make_graph(
        nodes, "stand_in",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def book(level: int) -> np.ndarray:
    """1024 values from -1 to 1, and 500 times finer per further level."""
    return (np.linspace(-1, 1, 1024) / 500**level).astype(np.float32)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    for part in ("enc", "dec"):
        np.savez(folder / f"hil_speech_cache_{part}.npz", **{f"{part[0]}_in0": np.zeros((1, 1, 1), np.float32)})
    save(
        folder / "hil_speech_enc.onnx",
        [
            helper.make_node("ReduceMean", ["wav_in"], ["e_out0"], axes=[2], keepdims=1),
            helper.make_node("Sub", ["e_out0", "e_in0"], ["x"]),
        ],
        [("wav_in", FLOAT, [1, 1, 320]), ("e_in0", FLOAT, [1, 1, 1])],
        [("x", FLOAT, [1, 1, 1]), ("e_out0", FLOAT, [1, 1, 1])],
    )
    save(
        folder / "hil_speech_dec.onnx",
        [
            helper.make_node("Add", ["q", "d_in0"], ["d_out0"]),
            helper.make_node("Expand", ["d_out0", "shape"], ["wav_out"]),
        ],
        [("q", FLOAT, [1, 1, 1]), ("d_in0", FLOAT, [1, 1, 1])],
        [("wav_out", FLOAT, [1, 1, 320]), ("d_out0", FLOAT, [1, 1, 1])],
        [("shape", np.array([1, 1, 320], np.int64))],
    )
    for level in range(12):
        codewords = book(level)
        save(
            folder / f"hil_speech_vq{level}.onnx",
            [
                helper.make_node("Sub", ["x", "book"], ["difference"]),
                helper.make_node("Abs", ["difference"], ["distance"]),
                helper.make_node("ArgMin", ["distance"], ["found"], axis=2, keepdims=0),
                helper.make_node("Gather", ["book", "found"], ["gathered"], axis=2),
                helper.make_node("Reshape", ["gathered", "one"], ["quantized"]),
                helper.make_node("Identity", ["found"], ["index"]),
            ],
            [("x", FLOAT, [1, 1, 1])],
            [("quantized", FLOAT, [1, 1, 1]), ("index", INT, [1, 1])],
            [("book", codewords.reshape(1, 1, -1)), ("one", np.array([1, 1, 1], np.int64))],
        )
        save(
            folder / f"hil_speech_deq{level}.onnx",
            [
                helper.make_node("Gather", ["book", "idx"], ["gathered"]),
                helper.make_node("Reshape", ["gathered", "one"], ["quantized"]),
            ],
            [("idx", INT, [1, 1])],
            [("quantized", FLOAT, [1, 1, 1])],
            [("book", codewords), ("one", np.array([1, 1, 1], np.int64))],
        )
    return folder


@pytest.fixture
def weights(stand_ins, monkeypatch):
    monkeypatch.setenv("EARMARK_HILCODEC_DIR", str(stand_ins))
    return stand_ins


def codec(text: str):
    system = parse(text)
    return family_of(system).open(system, 24000, 1)


def steps(hops: int) -> np.ndarray:
    """A constant per hop, from -0.9 to 0.9."""
    return np.repeat(np.linspace(-0.9, 0.9, hops), 320)[None].astype(np.float32)


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("codebooks", [1, 2, 4, 12])
def test_75_hops_of_10_bits_per_codebook(codebooks):
    encoded = codec(f"hilcodec@{0.75 * codebooks}").encode(steps(75))
    assert encoded.payload_bits == 75 * 10 * codebooks == 750 * codebooks
    longer = codec(f"hilcodec@{0.75 * codebooks}").encode(steps(75)[:, : 320 * 10 + 1])
    assert (longer.payload_bits, longer.seconds) == (11 * 10 * codebooks, 11 / 75)


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(("kbps", "error"), [("0.75", 1 / 1023), ("1.5", 1 / 1023 / 500)])
def test_residual_quantisation_through_bytes_and_back(kbps, error):
    """Half a step of the last codebook, 1 / 1023 or a 500th of that, accumulated over 75 hops."""
    one, audio = codec(f"hilcodec@{kbps}"), steps(75)
    assert np.abs(one.decode(one.encode(audio)) - audio).max() <= 75 * error


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("samples", [1, 319, 320, 321])
def test_every_length_comes_back(samples):
    one = codec("hilcodec@3")
    decoded = one.decode(one.encode(steps(2)[:, :samples]))
    assert decoded.shape == (1, samples)
    assert decoded.dtype == np.float32


@pytest.mark.usefixtures("weights")
def test_stereo_and_another_rate():
    audio = np.repeat(np.full((1, 48000), 0.25, np.float32), 2, axis=0)
    result = transcode(codec("hilcodec@3"), audio, 48000)
    assert result.audio.shape == audio.shape
    assert result.payload_bits == 2 * 3000


@pytest.mark.usefixtures("weights")
def test_two_files_are_coded_alike_after_each_other():
    one, audio = codec("hilcodec@3"), steps(10)
    assert one.encode(audio) == one.encode(audio)


def test_other_rates_and_models_are_refused():
    with pytest.raises(UserError, match=r"in steps of 0\.75; try hilcodec@3"):
        parse("hilcodec@2.8")
    with pytest.raises(UserError, match=r"try hilcodec@9$"):
        parse("hilcodec@24")
    with pytest.raises(UserError, match="model is one of speech, music"):
        parse("hilcodec@3:model=sound")


def test_what_is_missing_is_named(weights, monkeypatch):
    assert families()["hilcodec"].unavailable() is None
    system = parse("hilcodec@3:model=music")
    assert "hil_music_enc.onnx is missing" in family_of(system).unavailable(system)
    assert "github.com/aask1357/hilcodec" in family_of(system).unavailable(system)
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda name: None)
    assert "pip install 'earmark[hilcodec]'" in families()["hilcodec"].unavailable()


def test_the_files_of_a_rate_are_its_version(weights):
    versions = {family_of(system).version(system) for system in map(parse, ("hilcodec@0.75", "hilcodec@1.5"))}
    assert len(versions) == 2
    assert len(hilcodec.files("speech", 8)) == 4 + 16

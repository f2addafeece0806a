"""Options of the discriminators that are not in the paper: compression, a time alone, fewer windows, a shared pass."""

from __future__ import annotations

import pytest
import torch

from earmark.codec.errors import UserError
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.losses.compressed import CompressedSTFT
from earmark.codec.training.losses.spectrogram import Spectrogram, compressed
from earmark.codec.training.losses.terms import hinge_discriminator, hinge_generator

from .test_trainer_update import copied, moved, noise, trainer

EVERY = "discriminators.update_probability=1.0"


def test_compression_raises_magnitudes_to_a_power_and_keeps_phases():
    """(3 + 4j) has the magnitude 5 and the phase of (0.6 + 0.8j); 5^0.4 = 1.9037."""
    spectrum = torch.tensor([3 + 4j, -0.03 + 0.04j, 0j])
    result = compressed(spectrum, 0.4)
    torch.testing.assert_close(result[0], torch.tensor(5**0.4 * (0.6 + 0.8j)))
    torch.testing.assert_close(result[1], torch.tensor(0.05**0.4 * (-0.6 + 0.8j)))
    assert result[2] == 0
    assert compressed(spectrum, 1) is spectrum


def test_the_gradient_of_silence_is_finite():
    audio = torch.zeros(1, 1, 4096, requires_grad=True)
    compressed(Spectrogram(512)(audio), 0.4).abs().sum().backward()
    assert audio.grad.isfinite().all()
    CompressedSTFT()(torch.zeros(1, 1, 4096), audio).backward()
    assert audio.grad.isfinite().all()


def test_the_discriminators_see_compressed_spectra():
    """Audio scaled by 16 has spectra scaled by 16^0.5 = 4 at a power of 1/2."""
    network = MultiScaleSTFT([128], filters=2, compression=0.5)
    audio = noise(samples=1024)
    first = network.networks[0].layers[0]
    seen = []
    first.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0]))
    network(audio)
    network(16 * audio)
    torch.testing.assert_close(seen[1], 4 * seen[0], rtol=1e-3, atol=1e-3)


def test_the_compressed_distance_by_hand():
    """y = x / 2: |X|^0.3 (1 - 0.5^0.3), the same in both terms, as the phases agree."""
    x = noise(samples=8192)
    expected = torch.stack([
        (Spectrogram(window)(x).abs() ** 0.3 * (1 - 0.5**0.3)).square().mean() for window in (2048, 1024, 512)
    ]).mean()  # fmt: skip
    torch.testing.assert_close(CompressedSTFT()(x, x / 2), expected, rtol=1e-3, atol=0)


def test_faint_sounds_count_in_the_compressed_distance():
    """At -50 dB, squares are 10^-5 of those at full level, and compressed ones 10^(-5 x 0.3) = 10^-1.5.

    The level is far above the floor, which stands in the magnitudes of silence.
    """
    x = 1e4 * noise(samples=8192)
    distance, silence = CompressedSTFT(), torch.zeros_like(x)
    ratio = distance(silence, 10 ** (-50 / 20) * x) / distance(silence, x)
    assert float(ratio) == pytest.approx(10**-1.5, rel=0.05)


def test_discriminators_train_alone_before_the_generator_hears_of_them():
    training = trainer(EVERY, "discriminators.start=1", "discriminators.alone=2")
    names = [set(training.update(noise())) for _ in range(4)]
    assert ["discriminator" in name for name in names] == [False, True, True, True]
    assert ["adversarial" in name for name in names] == [False, False, False, True]


def test_the_rate_of_the_discriminators_is_relative():
    training = trainer("discriminators.rate=2.0", "optimizer.learning_rate=0.004", "optimizer.warmup=0")
    training.update(noise())
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in training.optimizers.items()}
    assert rates["discriminators"] == pytest.approx(2 * rates["generator"])


def test_an_update_uses_the_windows_that_were_drawn():
    training = trainer(
        EVERY, "discriminators.windows=2", "discriminators.per_bandwidth=false", "discriminators.kinds=['ms_stft']"
    )
    used = set()
    for _ in range(8):
        before = copied(training.discriminators)
        training.update(noise())
        networks = {name.split(".networks.")[1].split(".")[0] for name in moved(training.discriminators, before)}
        assert len(networks) == 2
        used |= networks
    assert used == set("01234")


def test_a_shared_pass_gives_the_gradients_of_separate_passes():
    """The discriminators get the gradient of their hinge loss, and the generator's loss is that before their update."""
    separate, shared = (
        trainer(EVERY, "discriminators.per_bandwidth=false", f"discriminators.shared_pass={flag}")
        for flag in ("false", "true")
    )
    audio = noise()
    networks = shared.discriminators.of(0.6)
    seen = {}
    shared.generator.register_forward_hook(lambda module, inputs, output: seen.update(decoded=output.decoded.detach()))
    before = {name: value.clone() for name, value in networks.state_dict().items()}
    metrics = [training.update(audio) for training in (separate, shared)]
    torch.testing.assert_close(metrics[0]["discriminator"], metrics[1]["discriminator"])
    for ours, theirs in zip(shared.discriminators.parameters(), separate.discriminators.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    networks.load_state_dict(before)
    with torch.no_grad():
        real, fake = networks(audio), networks(seen["decoded"])
    torch.testing.assert_close(metrics[1]["adversarial"], hinge_generator([output.logits for output in fake]))
    expected = hinge_discriminator([output.logits for output in real], [output.logits for output in fake])
    torch.testing.assert_close(metrics[1]["discriminator"], expected)


def test_compiled_discriminators_give_the_same_update():
    """With a backend that needs no compiler of C++; the first update, and one after the weights have changed."""
    settings = (EVERY, "discriminators.windows=1", "discriminators.per_bandwidth=false")
    plain, compiled = trainer(*settings), trainer(*settings, "training.compile=aot_eager")
    for _ in range(2):
        expected, found = (each.update(noise(samples=2400)) for each in (plain, compiled))
        for name in ("adversarial", "features", "discriminator", "mel"):
            torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("shared", "evaluations"), [("true", 2), ("false", 4)])
def test_a_shared_pass_evaluates_source_and_decoded_audio_once(shared, evaluations):
    """Otherwise the networks change between their own loss and that of the generator, so that no output is reused."""
    training = trainer(EVERY, "discriminators.per_bandwidth=false", f"discriminators.shared_pass={shared}")
    seen = []
    training.discriminators.of(0.6).register_forward_hook(lambda *_: seen.append(1))
    training.update(noise())
    assert len(seen) == evaluations


@pytest.fixture
def backend():
    """A backend of torch.compile that fails, as inductor does where there is no compiler."""
    import torch._dynamo

    def fails(graph, inputs):
        raise RuntimeError("no compiler found")

    torch._dynamo.register_backend(fails, "fails_for_a_test")
    yield "fails_for_a_test"
    del torch._dynamo.backends.registry._COMPILER_FNS["fails_for_a_test"]
    torch._dynamo.backends.registry._BACKENDS.pop("fails_for_a_test", None)


def test_without_a_compiler_nothing_is_compiled(backend, capsys):
    settings = (EVERY, "discriminators.windows=1", "discriminators.per_bandwidth=false")
    plain, fallen_back = trainer(*settings), trainer(*settings, f"training.compile={backend}")
    for _ in range(2):
        expected, found = (each.update(noise(samples=2400)) for each in (plain, fallen_back))
        assert all(float(found[name]) == float(value) for name, value in expected.items())
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"training.compile={backend} does not work here, so nothing is compiled: ")


def test_an_unknown_backend_is_one_line():
    with pytest.raises(UserError, match=r"training\.compile 'inducto' is no backend of .*; did you mean inductor\?"):
        trainer("training.compile=inducto")

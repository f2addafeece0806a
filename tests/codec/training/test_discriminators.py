"""The discriminators: sizes calculated from the papers, and values of the public reference where layers are equal."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from earmark.codec.training.discriminators import build
from earmark.codec.training.discriminators.mono_stft import MonoSTFT, _TimeStepNorm
from earmark.codec.training.discriminators.mpd import MultiPeriod
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.discriminators.msd import MultiScale
from earmark.codec.training.recipe_files import load

WINDOWS = [2048, 1024, 512, 256, 128]
SMALL = {
    "ms_stft": lambda: MultiScaleSTFT(WINDOWS, filters=4),
    "mono_stft": lambda: MonoSTFT(filters=4),
    "msd": lambda: MultiScale(filters=4),
    "mpd": lambda: MultiPeriod(filters=2),
}


@pytest.fixture(params=SMALL)
def small(request):
    torch.manual_seed(0)
    return SMALL[request.param]()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def weights(module: nn.Module) -> int:
    """Count weights and biases, without what a norm adds to a convolution."""
    convolutions = [part for part in module.modules() if isinstance(part, (nn.Conv1d, nn.Conv2d))]
    return sum(part.weight.numel() + part.bias.numel() for part in convolutions)


def shapes(output):
    return [tuple(feature.shape) for feature in output.features] + [tuple(output.logits.shape)]


def test_ms_stft_has_the_sizes_of_the_paper():
    """Section 3.4: 3 x 8 with 32 channels, three dilated ones, 3 x 3; one second at 24 kHz.

    A window of 2048 with hop 512 has (24000 - 2048) // 512 + 1 = 43 frames of 1025 frequencies.
    """
    network = MultiScaleSTFT(WINDOWS)
    first, dilated, last = 32 * 2 * 3 * 8 + 32, 32 * 32 * 3 * 8 + 32, 32 * 3 * 3 + 1
    assert weights(network) == 5 * (first + 3 * dilated + last) == 378_405
    outputs = network(noise(1, 1, 24000))
    assert shapes(outputs[0]) == [
        (1, 32, 43, 1024), (1, 32, 43, 512), (1, 32, 43, 256), (1, 32, 43, 128), (1, 1, 43, 128),
    ]  # fmt: skip
    assert shapes(outputs[4])[-1] == (1, 1, (24000 - 128) // 32 + 1, 8)


def test_ms_stft_dilates_in_time_and_strides_over_frequency():
    convolutions = [layer for layer in MultiScaleSTFT([128], 1).modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.dilation for layer in convolutions] == [(1, 1), (1, 1), (2, 1), (4, 1), (1, 1)]
    assert [layer.stride for layer in convolutions] == [(1, 1), (1, 2), (1, 2), (1, 2), (1, 1)]
    assert [layer.kernel_size for layer in convolutions] == [(3, 8)] * 4 + [(3, 3)]


@pytest.fixture
def reference(reference_package, monkeypatch):
    """The network of the public reference for one window, with torchaudio's spectrogram replaced."""
    module = import_module("encodec.msstftd")

    class Spectrogram(nn.Module):
        def __init__(self, n_fft, hop_length, win_length, window_fn, normalized, center, pad_mode, power):
            super().__init__()
            assert (win_length, normalized, center, power) == (n_fft, True, False, None)
            self.hop, self.window = hop_length, window_fn(n_fft)

        def forward(self, x):
            size = len(self.window)
            flat = torch.stft(x.flatten(0, 1), size, self.hop, window=self.window, center=False, return_complex=True)
            return flat.unflatten(0, x.shape[:2]) / self.window.square().sum().sqrt()

    monkeypatch.setattr(module.torchaudio, "transforms", SimpleNamespace(Spectrogram=Spectrogram), raising=False)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated weight norm
        return module.DiscriminatorSTFT(filters=8, n_fft=512, hop_length=128, win_length=512)


def test_ms_stft_equals_the_reference_where_both_agree(reference):
    """With the reference's kernel of 3 x 9, the first four layers agree. The paper has no fifth before the logits."""
    network = MultiScaleSTFT([512], filters=8, kernel=(3, 9))
    for ours, theirs in zip(network.networks[0].layers, reference.convs, strict=False):
        ours.weight = theirs.conv.weight.detach()  # weight norm splits it into direction and length
        ours.bias = theirs.conv.bias
    audio = noise(2, 1, 8000)
    _, wanted = reference(audio)
    (output,) = network(audio)
    assert len(output.features) == 4
    torch.testing.assert_close(list(output.features), wanted[:4])


def test_msd_by_hand():
    """As in MelGAN. Per scale: 15 samples to 16 channels, four of 41 with 4 channels per group, 5 and 3 samples."""
    widths = [16, 64, 256, 1024, 1024]
    one = 16 * 15 + sum(width * 4 * 41 for width in widths[1:]) + 1024 * 1024 * 5 + 1024 * 3
    biases = sum(widths) + 1024 + 1
    network = MultiScale()
    assert weights(network) == 3 * (one + biases) == 16_913_859
    grouped = [layer.groups for layer in network.networks[1].layers]
    assert grouped == [1, 4, 16, 64, 256, 1]


def test_msd_has_three_resolutions():
    """24000, 12000 and 6000 samples, each down-sampled four times by 4 and rounded up."""
    outputs = MultiScale(filters=4)(noise(1, 1, 24000))
    assert [output.features[0].shape[-1] for output in outputs] == [24000, 12000, 6000]
    assert [output.logits.shape[-1] for output in outputs] == [94, 47, 24]


def test_msd_has_spectral_norm_on_the_original_signal_and_weight_norm_on_the_others():
    """Section A.1. Spectral norm converges to a largest singular value of 1."""
    network = MultiScale(filters=4)
    for _ in range(50):
        network(noise(1, 1, 1000))
    with torch.no_grad():
        largest = [torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2) for layer in network.networks[0].layers]
        torch.testing.assert_close(largest, [torch.tensor(1.0)] * 6, rtol=0.05, atol=0)
    lengths = [name for name, _ in network.networks[1].named_parameters() if name.endswith("weight.original0")]
    assert len(lengths) == 7


def test_mpd_by_hand():
    """As in HiFi-GAN: five networks of 1, 32, 128, 512, 1024, 1024 channels, kernels of 5, and 3 for the logits."""
    widths = [1, 32, 128, 512, 1024, 1024]
    one = sum(5 * a * b + b for a, b in pairwise(widths)) + 3 * 1024 + 1
    assert weights(MultiPeriod()) == 5 * one == 41_092_165


def test_mpd_folds_by_prime_periods():
    """1000 samples folded by 7 are 143 rows. Strides of 3 leave 48, 16, 6 and 2 of them; the last layer keeps 2."""
    output = MultiPeriod(filters=1)(noise(1, 1, 1000))[3]
    assert [feature.shape[2:] for feature in output.features] == [(48, 7), (16, 7), (6, 7), (2, 7), (2, 7)]
    assert output.logits.shape == (1, 1, 2, 7)


def test_mpd_sees_one_phase_of_its_period():
    """Changing every fifth sample from the third on changes only column 2 of the network with period 5."""
    torch.manual_seed(0)
    network, audio = MultiPeriod(filters=2), noise(1, 1, 1000)
    changed = audio.clone()
    changed[..., 2::5] += 1
    difference = (network(changed)[2].logits - network(audio)[2].logits).abs().amax(dim=(0, 1, 2))
    assert difference.nonzero().flatten().tolist() == [2]


def test_mono_stft_has_the_sizes_of_the_soundstream_paper():
    """Figure 4 with C = 32. One second at 24 kHz: 90 frames, 90 / 2^3 = 11 left; F / 2^6 = 512 / 64 = 8 frequencies."""
    units = [(32, 64, 3 * 4), (64, 128, 4 * 4), (128, 128, 3 * 4), (128, 256, 4 * 4), (256, 256, 3 * 4), (256, 512, 16)]
    count = 2 * 32 * 7 * 7 + 32
    for narrow, wide, kernel in units:
        count += (9 * narrow * narrow + narrow) + (kernel * narrow * wide + wide) + (narrow * wide + wide)
    count += 512 * 8 + 1
    network = MonoSTFT()
    assert weights(network) == count
    (output,) = network(noise(2, 1, 24000))
    assert [feature.shape[1:] for feature in output.features] == [
        (32, 90, 512), (64, 90, 256), (128, 45, 128), (128, 45, 64), (256, 22, 32), (256, 22, 16), (512, 11, 8),
    ]  # fmt: skip
    assert output.logits.shape == (2, 1, 11, 1)


def test_layer_norm_is_per_frame():
    """It normalises channels and frequencies together: loud channels stay loud, and other frames have no influence."""
    norm, x = _TimeStepNorm(3), 20 * noise(2, 3, 5, 8) * torch.tensor([1.0, 5.0, 25.0])[:, None, None]
    centred = x - x.mean(dim=(1, 3), keepdim=True)
    y = norm(x)
    torch.testing.assert_close(y, centred / centred.square().mean(dim=(1, 3), keepdim=True).sqrt())
    other = torch.cat([x[:, :, :3], 7 * x[:, :, 3:]], dim=2)
    torch.testing.assert_close(norm(other)[:, :, :3], y[:, :, :3])


def test_mono_stft_normalises_all_but_the_first_and_last_layer():
    """Section 4.2: two convolutions in each of six units."""
    network = MonoSTFT(filters=2)
    assert sum(isinstance(part, _TimeStepNorm) for part in network.modules()) == 12


def test_stereo_channels_are_independent(small):
    stereo = noise(2, 2, 8000)
    left, right = small.eval()(stereo[:, :1]), small(stereo[:, 1:])
    for both, first, second in zip(small(stereo), left, right, strict=True):
        torch.testing.assert_close(both.logits[0::2], first.logits)
        torch.testing.assert_close(both.logits[1::2], second.logits)


def test_examples_of_a_batch_are_independent(small):
    """Nothing is normalised over the batch, so source and decoded audio may be in one batch."""
    audio = noise(3, 1, 6000)
    together, alone = small.eval()(audio), small(audio[:1])
    for all_three, first in zip(together, alone, strict=True):
        torch.testing.assert_close(all_three.logits[:1], first.logits)
        torch.testing.assert_close([feature[:1] for feature in all_three.features], list(first.features))


@pytest.mark.parametrize("samples", [2816, 4097, 24000])
def test_gradients_reach_the_samples_and_every_weight(small, samples):
    """2816 samples are 8 frames of 1024, which mono_stft needs. Samples after the last frame have no gradient."""
    audio = noise(1, 1, samples).requires_grad_()
    outputs = small(audio)
    sum(output.logits.square().mean() for output in outputs).backward()
    assert torch.isfinite(audio.grad).all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in small.parameters())
    assert audio.grad[0, 0, 1 : samples - 512].all()  # the first sample of a Hann window is 0


def test_bfloat16_autocast(small):
    """Logits close to those in float32, and gradients for all weights."""
    audio = noise(2, 1, 8000)
    wanted = small(audio)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = small(audio)
    for output, exact in zip(outputs, wanted, strict=True):
        torch.testing.assert_close(output.logits.float(), exact.logits, atol=0.03, rtol=0.1)
    sum(output.logits.float().mean() for output in outputs).backward()
    assert all(parameter.grad.isfinite().all() for parameter in small.parameters())


def recipe(*settings: str, name: str = "encodec_24khz"):
    return load(name, ("discriminators.filters=2", *settings))


def test_each_bit_rate_has_its_own_discriminators():
    """Section 3.4, "Multi-bandwidth training": an update at 3 kbps does not change the discriminators of 1.5 kbps."""
    sets = build(recipe())
    assert len({id(sets.of(kbps)) for kbps in (1.5, 3.0, 6.0, 12.0, 24.0)}) == 5
    assert sets.of(3) is sets.of(3.0)
    sum(output.logits.mean() for output in sets.of(3.0)(noise(1, 1, 24000))).backward()
    touched = {kbps for kbps in (1.5, 3.0, 6.0) if any(p.grad is not None for p in sets.of(kbps).parameters())}
    assert touched == {3.0}


def test_discriminators_start_from_different_weights_and_are_all_saved():
    torch.manual_seed(0)
    sets, others = build(recipe()), build(recipe())
    first, second = (next(sets.of(kbps).parameters()) for kbps in (1.5, 3.0))
    assert not torch.equal(first, second)
    others.load_state_dict(sets.state_dict())
    audio = noise(1, 1, 24000)
    for kbps in (1.5, 24.0):
        assert torch.equal(others.of(kbps)(audio)[0].logits, sets.of(kbps)(audio)[0].logits)


@pytest.mark.parametrize("kind", SMALL)
def test_states_with_earlier_names_are_read(kind):
    """Version 0.1.0 had judges and, in the networks with a single one, a judge."""
    torch.manual_seed(0)
    sets, others = (build(recipe(f"discriminators.kinds=['{kind}']")) for _ in range(2))
    state = {
        name.replace(".networks.", ".judges.").replace(".network.", ".judge."): value
        for name, value in sets.state_dict().items()
    }
    assert all(".judge" in name for name in state if "window" not in name)
    others.load_state_dict(state)
    for name, value in sets.state_dict().items():
        assert torch.equal(others.state_dict()[name], value), name


def test_one_ensemble_for_all_bit_rates():
    sets = build(recipe("discriminators.per_bandwidth=false"))
    assert sets.of(1.5) is sets.of(24.0)


def test_discriminators_can_be_combined():
    """MS-STFT + MPD of Table 2: five windows and five periods; MSD + Mono-STFT: three scales and one."""
    audio = noise(1, 1, 24000)
    for kinds, networks in ((["ms_stft", "mpd"], 10), (["msd", "mono_stft"], 4), ([], 0)):
        sets = build(recipe(f"discriminators.kinds={kinds}"))
        assert len(sets.of(6.0)(audio)) == networks


def test_windows_are_doubled_at_48_khz():
    """The first layer reduces window / 2 + 1 frequencies to window / 2."""
    for name, widest in (("encodec_24khz", 1024), ("encodec_48khz", 2048)):
        outputs = build(recipe(name=name)).of(6.0)(noise(1, 1, 24000))
        assert [j.features[0].shape[-1] for j in outputs] == [widest >> k for k in range(5)]
    mono = build(recipe("discriminators.kinds=['mono_stft']", name="encodec_48khz")).of(6.0)(noise(1, 2, 24000))
    assert mono[0].features[0].shape[-1] == 1024


@pytest.mark.parametrize("filters", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kind", SMALL)
def test_any_number_of_filters(kind, filters):
    made = replace(recipe().discriminators, kinds=(kind,), filters=filters, per_bandwidth=False)
    outputs = build(replace(recipe(), discriminators=made)).of(6.0)(noise(1, 1, 4096))
    sum(output.logits.mean() for output in outputs).backward()
    assert all(output.logits.isfinite().all() for output in outputs)

"""The training losses against the paper's formulas, by hand and by an independent computation with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import get_window

from earmark.codec.training.losses.spectrogram import MelSpectrogram, Spectrogram, mel_filters
from earmark.codec.training.losses.terms import (
    MultiScaleMel,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    time_loss,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spectrum_by_hand(signal, window):
    """STFT, [frames, window / 2 + 1]: Hann window, hop of a quarter, divided by the window's norm."""
    hann = get_window("hann", window)
    starts = range(0, len(signal) - window + 1, window // 4)
    frames = np.stack([signal[start : start + window] for start in starts])
    return np.fft.rfft(frames * hann) / np.sqrt((hann**2).sum())


def mel_by_hand(signal, rate, window, bins):
    """Magnitudes in HTK mel bands, [frames, bins], empty ones included; the signal is padded by reflection."""
    magnitudes = abs(spectrum_by_hand(np.pad(signal, window // 2, mode="reflect"), window))
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = [700 * (10 ** (top * k / (bins + 1) / 2595) - 1) for k in range(bins + 2)]
    frequencies = np.arange(window // 2 + 1) * rate / window
    bands = [np.interp(frequencies, corners[k : k + 3], [0, 1, 0], left=0, right=0) for k in range(bins)]
    return magnitudes @ np.stack(bands).T


def test_time_loss_by_hand():
    reference = torch.tensor([[[1.0, -1.0, 0.5]], [[0.0, 0.0, 0.0]]])
    decoded = torch.tensor([[[0.0, -1.0, 1.0]], [[0.0, 0.0, 3.0]]])
    assert time_loss(reference, decoded) == (1 + 0 + 0.5 + 3) / 6


@pytest.mark.parametrize("window", [32, 256, 2048])
def test_spectrogram_is_the_normalised_stft(window):
    signal = noise(2, 3, 4100)
    spectrum = Spectrogram(window)(signal)
    for item, channel in np.ndindex(2, 3):
        wanted = spectrum_by_hand(signal[item, channel].numpy().astype(np.float64), window)
        torch.testing.assert_close(spectrum[item, channel], torch.from_numpy(wanted).to(torch.complex64))


@pytest.mark.parametrize("window", [32, 128, 2048])
def test_white_noise_has_its_variance_as_power_in_every_spectrogram(window):
    """This is the purpose of "normalised": no scale outweighs another."""
    power = Spectrogram(window)(10 * noise(1, 200_000)).abs().square().mean()
    assert power == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("rate", [24000, 48000])
@pytest.mark.parametrize("window", [32, 64, 512, 2048])
def test_each_frequency_between_the_outer_bands_counts_in_full(rate, window):
    """Neighbouring triangles add up to 1, so leaving out empty ones makes no gap."""
    filters = mel_filters(rate, window, 64)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 1400), 66) / 2595) - 1)
    frequencies = np.arange(window // 2 + 1) * rate / window
    between = (frequencies >= corners[1]) & (frequencies <= corners[-2])
    torch.testing.assert_close(filters[:, between].sum(0), torch.ones(int(between.sum())))
    assert (filters.amax(1) > 0).all()


def test_bands_that_a_short_window_cannot_resolve_are_left_out():
    """32 samples at 24 kHz: 15 frequencies between 0 Hz and Nyquist, each in two of the triangles.

    Of the 64 + 1 equal steps of the mel scale, 750 Hz is 65 log10(1 + 750 / 700) / log10(1 + 12000 / 700) = 16.3 up: in
    the triangles 16 and 17.
    """
    steps = [65 * np.log10(1 + 750 * k / 700) / np.log10(1 + 12000 / 700) for k in range(1, 16)]
    met = {int(step) + side for step in steps for side in (0, 1)}
    assert {16, 17} <= met
    assert len(mel_filters(24000, 32, 64)) == len(met)
    assert len(mel_filters(24000, 2048, 64)) == 64


@pytest.mark.parametrize(("rate", "window"), [(24000, 32), (24000, 128), (24000, 2048), (48000, 512)])
def test_mel_bands_by_hand(rate, window):
    signal = noise(4100)
    wanted = mel_by_hand(signal.numpy().astype(np.float64), rate, window, 64)
    mel = MelSpectrogram(rate, window, 64)(signal[None, None])[0, 0]
    torch.testing.assert_close(mel, torch.from_numpy(wanted[:, wanted.any(axis=0)]).float())


def test_multi_scale_mel_is_equation_1():
    reference, decoded = noise(2, 2, 4000, seed=1), noise(2, 2, 4000, seed=2)
    total = 0.0
    for window in (32, 64, 128, 256, 512, 1024, 2048):
        for item in range(2):
            pairs = zip(reference[item].double().numpy(), decoded[item].double().numpy(), strict=True)
            difference = [mel_by_hand(x, 24000, window, 64) - mel_by_hand(y, 24000, window, 64) for x, y in pairs]
            present = np.concatenate([channel[:, channel.any(axis=0)] for channel in difference])
            total += (abs(present).mean() + np.sqrt((present**2).mean())) / 2 / 7
    assert float(MultiScaleMel(24000)(reference, decoded)) == pytest.approx(total, rel=1e-5)


def test_multi_scale_mel_is_a_mean_over_the_batch():
    """So the loss of a batch is the mean of the losses of its halves on two processes."""
    mel, reference, decoded = MultiScaleMel(24000), noise(4, 1, 3000, seed=1), noise(4, 1, 3000, seed=2)
    alone = [mel(reference[i : i + 1], decoded[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(mel(reference, decoded), torch.stack(alone).mean())


@pytest.mark.parametrize("decoded", [torch.zeros(1, 1, 3000), noise(1, 1, 3000)])
def test_equal_signals_have_no_mel_distance_and_a_finite_gradient(decoded):
    estimate = decoded.clone().requires_grad_()
    loss = MultiScaleMel(24000)(decoded, estimate)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(estimate.grad, torch.zeros_like(estimate))


def test_silence_has_a_finite_gradient():
    """The magnitude has no derivative at 0."""
    silence = torch.zeros(1, 1, 3000, requires_grad=True)
    MultiScaleMel(24000)(noise(1, 1, 3000), silence).backward()
    assert torch.isfinite(silence.grad).all()


def test_signals_shorter_than_the_longest_window():
    assert float(MultiScaleMel(24000)(noise(1, 1, 300, seed=1), noise(1, 1, 300, seed=2))) > 0


def test_gradients_of_time_and_mel():
    reference, decoded = noise(2, 1, 60, seed=1).double(), noise(2, 1, 60, seed=2).double().requires_grad_()
    mel = MultiScaleMel(24000, bands=16).double()
    assert torch.autograd.gradcheck(lambda x: time_loss(reference, x), decoded)
    assert torch.autograd.gradcheck(lambda x: mel(reference, x), decoded)


def test_autocast_does_not_affect_the_mel_loss():
    reference, decoded = noise(1, 1, 3000, seed=1), noise(1, 1, 3000, seed=2)
    mel = MultiScaleMel(24000)
    with torch.autocast("cpu", torch.bfloat16):
        loss = mel(reference, decoded)
    assert torch.equal(loss, mel(reference, decoded))


def test_hinge_of_the_generator_by_hand():
    """max(0, 1 - D): 0, 1, 3 for logits 2, 0, -2; then 0.5. All networks have the same weight."""
    loss = hinge_generator([torch.tensor([[2.0, 0.0, -2.0]]), torch.tensor([0.5])])
    assert float(loss) == pytest.approx(((0 + 1 + 3) / 3 + 0.5) / 2)


def test_hinge_of_the_discriminator_by_hand():
    """Real 2, 0: max(0, 1 - D) = 0, 1. Decoded 2, -3: max(0, 1 + D) = 3, 0. A second network: 0.5 and 1."""
    loss = hinge_discriminator(
        [torch.tensor([2.0, 0.0]), torch.tensor([0.5])], [torch.tensor([2.0, -3.0]), torch.tensor([0.0])]
    )
    assert float(loss) == pytest.approx(((0.5 + 1.5) + (0.5 + 1)) / 2)


def test_a_convinced_discriminator_gives_no_gradient():
    """As in the paper. The loss -D would still have a gradient."""
    logits = torch.tensor([1.5, 8.0], requires_grad=True)
    hinge_generator([logits]).backward()
    assert torch.equal(logits.grad, torch.zeros(2))


def test_feature_matching_by_hand():
    """Network 1: layers 1/(2/2) = 1 and 0; network 2, with one layer: (1 + 3)/2 over (4 + 4)/2 = 0.5."""
    real = [[torch.tensor([2.0, 0.0]), torch.tensor([1.0])], [torch.tensor([4.0, -4.0])]]
    fake = [[torch.tensor([1.0, 1.0]), torch.tensor([1.0])], [torch.tensor([5.0, -1.0])]]
    assert float(feature_matching(real, fake)) == pytest.approx(((1 + 0) / 2 + 0.5) / 2)


def test_feature_matching_is_relative():
    """A layer with outputs 100 times as large has the same weight."""
    real, fake = [noise(2, 3, 5, seed=s) for s in (1, 2)], [noise(2, 3, 5, seed=s) for s in (3, 4)]
    louder = feature_matching([[real[0], 100 * real[1]]], [[fake[0], 100 * fake[1]]])
    torch.testing.assert_close(louder, feature_matching([real], [fake]))


def test_feature_matching_gives_the_source_no_gradient():
    real, fake = noise(4, seed=1).requires_grad_(), noise(4, seed=2).requires_grad_()
    feature_matching([[real]], [[fake]]).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_a_dead_layer_does_not_end_the_training():
    fake = torch.zeros(3, requires_grad=True)
    loss = feature_matching([[torch.zeros(3)]], [[fake]])
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(fake.grad).all()


def test_gradients_of_the_adversarial_losses():
    real = [noise(2, 5, seed=s).double() for s in range(2)]
    fake = [noise(2, 5, seed=s).double().requires_grad_() for s in (2, 3)]
    assert torch.autograd.gradcheck(lambda *x: hinge_generator(x), fake)
    assert torch.autograd.gradcheck(lambda *x: hinge_discriminator(real, x), fake)
    assert torch.autograd.gradcheck(lambda *x: feature_matching([real], [x]), fake)


def test_means_over_bfloat16_are_taken_in_float32():
    """10,000 logits of 1 / 3, in bfloat16 0.333984375: 1 - D is exact in float32."""
    logits = torch.full((10_000,), 1 / 3).bfloat16()
    loss = hinge_generator([logits])
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(1 - 0.333984375, rel=1e-6)

"""Render a Player offline in the browser, and compute the samples it should play."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selenium import webdriver

RATE = 48_000
FADE = 240  # frames: 5 ms
SWITCH = 2 * (FADE + 1)  # frames from the start of a fade-out to the end of the next fade-in

# Renders `seconds` of a Player over `signals`. An action is [method, arguments, seconds] and scheduled in advance, or
# [method, arguments, null, frame] and called while the rendering is suspended at that frame.
RENDER = """
const [signals, rate, seconds, actions, done] = arguments;
const fail = (error) => done({ error: `${error.name}: ${error.message}` });
const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
(async () => {
  const { Player } = await import("/player.js");
  const context = new OfflineAudioContext(signals[0].length, Math.round(seconds * rate), rate);
  const player = new Player(context, signals.map((channels) => {
    const [length] = channels.map((text) => floats(text).length);
    const buffer = new AudioBuffer({ length, numberOfChannels: channels.length, sampleRate: rate });
    channels.forEach((text, channel) => buffer.copyToChannel(floats(text), channel));
    return buffer;
  }));
  const positions = [];
  for (const [method, args, when] of actions) {
    if (when !== null) player[method](...args, when);
  }
  const stops = Map.groupBy(actions.filter((action) => action[2] === null), (action) => action[3]);
  for (const [frame, calls] of stops) {
    context.suspend(frame / rate).then(async () => {
      for (const [method, args] of calls) {
        if (method === "position") positions.push(player.position);
        else player[method](...args);
      }
      await new Promise((resolve) => setTimeout(resolve, 20)); // lets handlers of the end of a fade run
      context.resume();
    }).catch(fail);
  }
  const rendered = await context.startRendering();
  const samples = signals[0].map((_, channel) => {
    const bytes = new Uint8Array(rendered.getChannelData(channel).buffer);
    let text = "";
    for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
    return btoa(text);
  });
  return { samples, positions, index: player.index, playing: player.playing, duration: player.duration };
})().then(done, fail);
"""

Signal = NDArray[np.float32]


def play(
    page: webdriver.Chrome, signals: list[Signal], actions: list[list[Any]], seconds: float, rate: int = RATE
) -> dict[str, Any]:
    encoded = [[base64.b64encode(row.tobytes()).decode() for row in np.atleast_2d(signal)] for signal in signals]
    result = page.execute_async_script(RENDER, encoded, rate, seconds, actions)
    assert "error" not in result, result["error"]
    heard = np.array([np.frombuffer(base64.b64decode(channel), np.float32) for channel in result["samples"]])
    return {**result, "samples": heard[0] if len(heard) == 1 else heard}


def noise(count: int, length: int, seed: int = 0) -> list[Signal]:
    """Signals in which every sample identifies its position."""
    return list(np.random.default_rng(seed).uniform(-0.9, 0.9, (count, length)).astype(np.float32))


def tones(count: int, length: int) -> list[Signal]:
    """Sines of 10, 11, ... periods that loop without a step, amplitude 0.9."""
    n = np.arange(length)
    return [(0.9 * np.sin(2 * np.pi * (10 + k) * n / length + k)).astype(np.float32) for k in range(count)]


def rise(frames: int) -> NDArray[np.float64]:
    """Raised-cosine fade-in, (1 - cos(pi n / N)) / 2 for n = 0 ... N."""
    return (1 - np.cos(np.pi * np.arange(frames + 1) / frames)) / 2


def sounding(signal: Signal, total: int, first: int, last: int, began: int, fade: int = FADE) -> NDArray[np.float64]:
    """`signal`, looped since frame `began` and audible from frame `first` to `last`, including its fades."""
    gain = np.zeros(total + fade + 1)
    gain[first : last + 1] = 1
    gain[first : first + fade + 1] = rise(fade)
    gain[last - fade : last + 1] = rise(fade)[::-1]
    n = np.arange(total)
    return signal[(n - began) % len(signal)] * gain[:total] * (n >= began)


def edged(signal: Signal, first: int, last: int) -> Signal:
    """Frames `first` to `last` of a signal with the fades at the ends of a loop region."""
    clip = signal[first:last].astype(np.float64)
    clip[: FADE + 1] *= rise(FADE)
    clip[-FADE - 1 :] *= rise(FADE)[::-1]
    return clip.astype(np.float32)

"""The demo recordings: a small, reproducible set of synthetic speech, speech-like signals, music and sounds."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from earmark.codec.audio import Audio, write
from earmark.codec.errors import UserError
from earmark.eval.demo import music, sounds, speech, voice
from earmark.eval.demo.stage import Stage, master

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """A recording to synthesise.

    Args:
        path: path within the folder; the first part is the category.
        subtype: sample format, "PCM_16" or "PCM_24".
        synthesise: returns [channels, time], given the sample rate in Hz and a random generator.
    """

    path: str
    sample_rate: int
    subtype: str
    synthesise: Callable[[int, np.random.Generator], Audio]


def _sentence(sentence: speech.Sentence, sample_rate: int, rng: np.random.Generator) -> Audio:
    spoken = speech.speak(sentence, sample_rate, rng)
    pause = np.zeros((1, round(0.25 * sample_rate)))
    return master(np.concatenate([pause, spoken, pause], axis=1), sample_rate, rng)


def _low_voice(sample_rate: int, rng: np.random.Generator) -> Audio:
    phones = voice.utterance(voice.LOW_VOICE, rng)
    return master(voice.talk(phones, 112, sample_rate, rng)[np.newaxis], sample_rate, rng)


def _high_voice_in_a_room(sample_rate: int, rng: np.random.Generator) -> Audio:
    phones = voice.utterance(voice.HIGH_VOICE, rng)
    spoken = voice.talk(phones, 205, sample_rate, rng, tract=1.16)
    stage = Stage(len(spoken) / sample_rate, sample_rate)
    stage.add(spoken, 0, pan=-0.2)
    stage.add_room(0.4, 0.15, rng)
    return master(stage.samples, sample_rate, rng)


CLIPS = (
    Clip("speech/english.wav", 16000, "PCM_16", partial(_sentence, speech.ENGLISH)),
    Clip("speech/german.wav", 22050, "PCM_16", partial(_sentence, speech.GERMAN)),
    Clip("speech/french.wav", 24000, "PCM_16", partial(_sentence, speech.FRENCH)),
    Clip("speech_like/low_voice.wav", 24000, "PCM_16", _low_voice),
    Clip("speech_like/high_voice_in_a_room.wav", 48000, "PCM_24", _high_voice_in_a_room),
    Clip("music/river_waltz.wav", 44100, "PCM_16", music.river_waltz),
    Clip("music/two_voices.wav", 44100, "PCM_24", music.two_voices),
    Clip("music/night_train.wav", 48000, "PCM_16", music.night_train),
    Clip("sounds/rain_and_steps.wav", 48000, "PCM_24", sounds.rain_and_steps),
    Clip("sounds/carillon.wav", 48000, "PCM_16", sounds.carillon),
)


def write_demo_audio(folder: Path, seed: int = 0) -> list[Path]:
    """Write ten recordings of 5 to 8 s with a peak of -3 dBFS, in one sub-folder of `folder` per category.

    Skips speech/, with a message, if eSpeak NG is not installed or does not run.

    Args:
        seed: the same seed gives the same bytes with the same libraries on the same type of processor; another seed
            gives other noise, timing and intonation of the same pieces.

    Returns:
        The files, in the order of `CLIPS`.

    Raises:
        UserError: the folder cannot be written.
    """
    files = []
    reason = None
    for clip in CLIPS:
        rng = np.random.default_rng([seed, zlib.crc32(clip.path.encode())])
        try:
            audio = clip.synthesise(clip.sample_rate, rng)
        except UserError as error:
            reason = error
            continue
        write(folder / clip.path, audio, clip.sample_rate, subtype=clip.subtype)
        files.append(folder / clip.path)
    if reason is not None:
        log.warning("note: speech/ is skipped: %s", reason)
    return files

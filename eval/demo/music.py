"""Three short pieces, composed for this project."""

from __future__ import annotations

import numpy as np

from earmark.codec.audio import Audio
from earmark.eval.demo import instruments as play
from earmark.eval.demo.instruments import frequency_of
from earmark.eval.demo.stage import Stage, master


def river_waltz(sample_rate: int, rng: np.random.Generator) -> Audio:
    """Guitar, double bass, flute and brushes in D minor, 3/4 at 138 beats a minute; [2, time]."""
    beat = 60 / 138
    bars: list[tuple[str, str, list[tuple[str, float, float]]]] = [  # chord, bass, melody: note, start, beats
        ("D3 A3 D4 F4", "D2 A2", [("A4", 0, 1.5), ("G4", 1.5, 0.5), ("F4", 2, 1)]),
        ("G3 Bb3 D4 G4", "G2 D2", [("G4", 0, 2), ("Bb4", 2, 1)]),
        ("C3 G3 C4 E4", "C2 G2", [("C5", 0, 1.5), ("Bb4", 1.5, 0.5), ("A4", 2, 0.5), ("G4", 2.5, 0.5)]),
        ("A3 C#4 E4 G4", "A1 E2", [("E4", 0, 1), ("F4", 1, 1), ("G4", 2, 1)]),
        ("D3 A3 D4 F4", "D2", [("F4", 0, 1), ("D4", 1, 2.5)]),
    ]
    stage = Stage(7.4, sample_rate)
    for bar, (chord, bass, melody) in enumerate(bars):
        start = 0.05 + 3 * bar * beat
        last = bar == len(bars) - 1
        for stroke in (0,) if last else (0, 1, 2):
            for string, note in enumerate(chord.split()):
                length = 1.8 if last else beat * (1.1 if stroke else 1.4)
                delay = stroke * beat + (0.045 if last else 0.014) * string + rng.uniform(0, 0.004)
                tone = play.plucked_string(frequency_of(note), length, sample_rate, rng, decay=2.5)
                stage.add(tone, start + delay, 0.2 if stroke else 0.27, pan=-0.45)
        for half, note in enumerate(bass.split()):
            tone = play.plucked_string(frequency_of(note), 2.2 * beat, sample_rate, rng, decay=2.2, position=0.3)
            stage.add(tone, start + 2 * half * beat, 0.5 - 0.15 * half, pan=0.1)
        for note, at, beats in melody:
            stage.add(play.flute(frequency_of(note), beats * beat, sample_rate, rng), start + at * beat, 0.33, pan=0.3)
        for stroke in () if last else (1, 2):
            brush = play.noise_stroke((2500, 14000), 0.06, 0.35, sample_rate, rng)
            stage.add(brush, start + stroke * beat, 0.07, pan=0.55)
    stage.add_room(0.9, 0.2, rng)
    return master(stage.samples, sample_rate, rng)


def two_voices(sample_rate: int, rng: np.random.Generator) -> Audio:
    """A canon for piano in G, the left hand a bar later and an octave lower; 4/4 at 112 beats a minute, [2, time]."""
    beat = 60 / 112
    subject = [("G4", 0.5), ("B4", 0.5), ("D5", 1), ("C5", 0.5), ("B4", 0.5), ("A4", 1)]
    answer = [("B4", 0.5), ("D5", 0.5), ("G5", 1), ("F#5", 0.5), ("E5", 0.5), ("D5", 1)]
    close = [("D5", 0.5), ("B4", 0.5), ("B4", 1), ("A4", 0.5), ("C5", 0.5), ("A4", 1), ("G4", 2)]
    stage = Stage(7.9, sample_rate)
    for delay, octave, gain, pan in ((0, 0, 0.6, 0.25), (4, -1, 0.5, -0.3)):
        at = float(delay)
        for note, beats in (subject + answer + close)[: None if delay == 0 else len(subject + answer)]:
            frequency = frequency_of(note) * 2.0**octave
            tone = play.struck_string(frequency, beats * beat + (1.4 if beats == 2 else 0.15), sample_rate, rng)
            at_seconds = 0.05 + at * beat + rng.uniform(0, 0.008)
            stage.add(tone, at_seconds, gain * rng.uniform(0.8, 1.0), pan)
            at += beats
    for note, pan in (("G2", -0.5), ("D3", -0.35), ("B3", -0.1)):
        tone = play.struck_string(frequency_of(note), 2.0, sample_rate, rng)
        stage.add(tone, 0.05 + 12 * beat + 0.02 * (pan + 0.5), 0.3, pan)
    stage.add_room(1.4, 0.25, rng)
    return master(stage.samples, sample_rate, rng)


def night_train(sample_rate: int, rng: np.random.Generator) -> Audio:
    """Synthesisers and drums in A minor, 4/4 at 124 beats a minute; [2, time]."""
    beat = 60 / 124
    chords = ["A3 C4 E4 G4", "F3 A3 C4 E4", "G3 B3 D4 E4"]
    stage = Stage(6.6, sample_rate)
    for bar, chord in enumerate(chords):
        start = 0.03 + 4 * bar * beat
        notes = chord.split()
        for note in notes if bar else ():  # the first bar has only bass and drums
            stage.add(play.saw_pad(frequency_of(note), 4.1 * beat, sample_rate, rng), start, 0.2)
        for eighth in range(8):
            at = start + eighth * beat / 2
            bass = frequency_of(notes[0]) / (2 if eighth in (3, 6) else 4)
            stage.add(play.synth_bass(bass, 0.45 * beat, sample_rate), at, 0.36)
            hat = play.noise_stroke((7000, 22000), 0.02 + 0.05 * (eighth % 2), 0.25, sample_rate, rng)
            stage.add(hat, at, 0.14, pan=0.35)
        for sixteenth in range(16 if bar else 0):
            note = notes[(0, 2, 1, 3, 2, 3, 1, 2)[sixteenth % 8]]
            pick = play.plucked_string(2 * frequency_of(note), 0.5, sample_rate, rng, decay=1.2)
            stage.add(pick, start + sixteenth * beat / 4, 0.14, pan=-0.6 + 1.2 * (sixteenth % 2))
        for quarter in range(4):
            stage.add(play.kick(sample_rate, rng), start + quarter * beat, 0.62)
            if quarter % 2:
                stage.add(play.snare(sample_rate, rng), start + quarter * beat, 0.3, pan=0.05)
    stage.add_room(0.7, 0.12, rng)
    return master(stage.samples, sample_rate, rng)

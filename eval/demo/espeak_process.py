"""Speak one text with eSpeak NG: a script that eval/demo/speech.py runs in a process of its own.

    python espeak_process.py VOICE WORDS_PER_MINUTE PITCH SEED  < text in UTF-8  > 16-bit mono PCM, native byte order

eSpeak NG keeps the state of its wave generator in global variables that neither espeak_Terminate nor reloading resets,
so only a fresh process gives the same samples every time. Imports only the standard library and `espeakng_loader`, to
start quickly.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

SAMPLE_RATE = 22050  # of all eSpeak NG voices except MBROLA's

# speak_lib.h of eSpeak NG 1.52
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
POSITION_CHARACTER = 1
CHARACTERS_UTF8 = 1


def main(voice: str, words_per_minute: int, pitch: int, seed: int) -> None:
    """Speak standard input and write samples to standard output; a failure prints a line on stderr, with status 1."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples is not None and count > 0:
            sys.stdout.buffer.write(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    callback = callback_type(collect)
    os.chdir(Path(espeakng_loader.get_data_path()).parent)  # the library truncates paths to 160 bytes, so keep it short
    rate = library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, b".", INITIALIZE_DONT_EXIT)
    if rate != SAMPLE_RATE:
        sys.exit(f"espeak_Initialize returned {rate} instead of {SAMPLE_RATE} Hz")
    library.espeak_SetSynthCallback(callback)
    library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        sys.exit(f"no voice {voice!r}")
    library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
    library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
    text = sys.stdin.buffer.read()
    size = ctypes.c_size_t(len(text) + 1)
    if library.espeak_Synth(text, size, 0, POSITION_CHARACTER, 0, CHARACTERS_UTF8, None, None) != 0:
        sys.exit("espeak_Synth failed")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:5]))

"""Recordings of a reproduction: to train on and to code; synthetic ones at the scale tiny."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from earmark.codec import audio
from earmark.codec.audio import Audio, resample
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import SPLITS
from earmark.codec.errors import UserError
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shard_cache import open_shards
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.validation import Excerpt, select_excerpts

SECONDS = 2.5  # of each synthetic recording
# Category of the paper -> demo recordings, of which several are mixed.
CATEGORIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "clean_speech": (("speech_like/low_voice.wav",), ("speech_like/high_voice_in_a_room.wav",)),
    "noisy_speech": (("speech_like/low_voice.wav", "sounds/rain_and_steps.wav"),),
    "music_set_1": (("music/river_waltz.wav",),),
    "music_set_2": (("music/night_train.wav",),),
}
TRAINED_ON: dict[manifest.Category, tuple[str, ...]] = {
    "speech": ("speech_like/high_voice_in_a_room.wav",), "music": ("music/two_voices.wav",),
    "sound": ("sounds/carillon.wav",),
}  # fmt: skip
SPEECH = ("*speech*",)


@dataclass
class Material:
    """Recordings of one reproduction.

    Args:
        folder: folder for recordings that are made here.
        synthetic: make synthetic recordings where none are given.
        data: manifests or shards to train on.
        audio: recordings to code.
        group: the process that trains.
        count, seconds: number and length of the excerpts of `data` that are coded if there is no `audio`.
    """

    folder: Path
    synthetic: bool
    data: tuple[Path, ...]
    audio: Path | None
    group: ProcessGroup
    count: int
    seconds: float
    _shards: dict[tuple[int, int], list[Shards]] = field(default_factory=dict)

    def shards(self, sample_rate: int, channels: int) -> list[Shards]:
        """Shards to train on.

        Raises:
            UserError: there are none, or they have another sample rate or number of channels.
        """
        key = sample_rate, channels
        if key not in self._shards:
            paths = self.data
            if not paths and not self.synthetic:
                raise UserError("no recordings to train on: give --data, from `earmark data index` or `data shards`")
            if not paths:
                paths = (self._synthetic_manifest(),)
            name = f"shards-{sample_rate}-{channels}" if not self.data else "shards"
            self._shards[key] = [
                open_shards(path, self.folder / f"{name}-{index}", sample_rate, channels, self.group)
                for index, path in enumerate(paths)
            ]
        return self._shards[key]

    def recordings(self, sample_rate: int, channels: int) -> Path:
        """Folder or corpus of the recordings to code.

        Raises:
            UserError: there are none.
        """
        if self.audio is not None:
            return self.audio
        folder = self.folder / f"audio-{sample_rate}-{channels}"
        if folder.is_dir():
            return folder
        if not self.data and not self.synthetic:
            raise UserError("no recordings to code: give --audio FOLDER, or --data with recordings of the split test")
        made = self._synthetic(sample_rate, channels) if not self.data else self._held_out(sample_rate, channels)
        part = folder.with_name(f".{folder.name}.part")
        for name, samples in made:
            audio.write(part / name, samples, sample_rate)
        part.rename(folder)
        return folder

    def _held_out(self, sample_rate: int, channels: int) -> Iterable[tuple[str, Audio]]:
        excerpts: Sequence[Excerpt] = ()
        for split in ("test", "valid"):
            excerpts = excerpts or select_excerpts(
                self.shards(sample_rate, channels), self.count, self.seconds, split
            )  # fmt: skip
        for number, one in enumerate(excerpts):
            yield f"{one.category}/{number:03d}-{Path(one.name.rpartition('+')[0]).stem}.wav", one.audio.numpy()

    def _synthetic(self, sample_rate: int, channels: int) -> Iterable[tuple[str, Audio]]:
        for category, groups in CATEGORIES.items():
            if channels == 2 and "speech" in category:  # Table 4 is of music
                continue
            for parts in groups:
                name = "+".join(Path(part).stem for part in parts)
                signals = [_clip(self._demo() / part, sample_rate, channels) for part in parts]
                yield f"{category}/{name}.wav", np.mean(signals, axis=0, dtype=np.float32)

    def _demo(self) -> Path:
        from earmark.eval.demo import CLIPS

        folder = self.folder / "demo"
        if not folder.is_dir():
            part = folder.with_name(".demo.part")
            wanted = {name for groups in CATEGORIES.values() for group in groups for name in group}
            wanted |= {name for names in TRAINED_ON.values() for name in names}
            for clip in CLIPS:
                if clip.path in wanted:
                    rng = np.random.default_rng(len(clip.path))
                    audio.write(part / clip.path, clip.synthesise(clip.sample_rate, rng), clip.sample_rate)
            part.rename(folder)
        return folder

    def _synthetic_manifest(self) -> Path:
        """A manifest in which each split has each category: three parts of a demo recording."""
        path = self.folder / "train" / "manifest.jsonl"
        if path.exists():
            return path
        entries = []
        for category, names in TRAINED_ON.items():
            whole = _clip(self._demo() / names[0], 48000, 2, seconds=3 * SECONDS)
            for split, part in zip(SPLITS, np.array_split(whole, len(SPLITS), axis=1), strict=True):
                file = path.with_name(f"{category}-{split}.wav")
                audio.write(file, np.ascontiguousarray(part), 48000)
                entries.append(
                    manifest.Entry(
                        path=file.name, dataset="synthetic", category=category, split=split, creator=None,
                        licence="CC0-1.0", seconds=part.shape[1] / 48000, sample_rate=48000, channels=2,
                        fingerprint=manifest.fingerprint(file),
                    )
                )  # fmt: skip
        manifest.write(path, entries)
        return path


def _clip(path: Path, sample_rate: int, channels: int, seconds: float = SECONDS) -> Audio:
    """The beginning of a recording, in a format; a mono recording is repeated on each channel."""
    whole = audio.read(path)
    samples = whole.samples[:, : round(seconds * whole.sample_rate)]
    samples = samples.mean(axis=0, keepdims=True) if channels == 1 else samples
    samples = np.repeat(samples, channels, axis=0) if len(samples) < channels else samples
    return resample(samples, whole.sample_rate, sample_rate)

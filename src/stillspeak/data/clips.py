"""Reads the clips of a prepared folder or of its shards for training. ``drawer.py`` draws batches from them.

Frames of a folder are decoded once into one flat uint8 file under ``DEST/cache`` and mapped from there. Clips of shards are
decoded when they are drawn, and as many as fit are kept in memory. So a small set is decoded only once, and a large one writes
nothing to the disk.
"""

import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillspeak.config import ContextConfig
from stillspeak.data.files import Files, large_path
from stillspeak.data.frame_cache import cached_frames, delete_older
from stillspeak.data.manifest import MANIFEST, read_manifest, speaker_weights
from stillspeak.data.voices import with_copies
from stillspeak.errors import DataError
from stillspeak.media.audio import read_audio
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.mouths import FINE
from stillspeak.media.video import read_video
from stillspeak.media.windows import Windows

_KEPT_BYTES = 4e9  # so many bytes of decoded frames of shards stay in memory
_KEPT_SOUND_BYTES = 4e9  # so many bytes of a folder's sounds stay in memory


class _Sounds(Sequence[NDArray[np.float32]]):
    """Reads sounds when they are asked for."""

    def __init__(self, paths: list[Path], read: Callable[[Path], NDArray[np.float32]]) -> None:
        self.paths, self.read = paths, read

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: Any) -> Any:
        return self.read(self.paths[number])


class Clips:
    """Reads the clips of a prepared folder or of a folder of shards.

    Args:
        folder: a folder that ``prepare`` or ``data pack`` wrote.
        split: train, heldout, validation or test.
        context: the sample rate and the window of the model.
        speakers: the speakers whose clips are read; None for all.
        readers: how many processes read clips; they share the memory for kept clips.
        fine: whether to read frames at three times the resolution, from the clips of a folder that have them.

    Raises:
        DataError: if there are no such clips.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        context: ContextConfig,
        speakers: list[str] | None = None,
        readers: int = 1,
        fine: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.records = read_manifest(self.folder, split, speakers, shards=True)
        self.files = Files(self.folder)
        self.cutter = Windows(context.rate_hz, Fraction(context.fps), context.window_seconds)
        self.points = [record.points() for record in self.records]
        self._starts = np.cumsum([0, *(record.frames for record in self.records)])
        packed = sorted({record.shard for record in self.records} - {""})
        if missing := [name for name in packed if not (self.folder / name).is_file()]:
            raise DataError(f"{self.folder} lacks {missing[0]}, which its manifest names.")
        self._frames = None if packed else self._cached_frames(split)
        wanted = [] if packed or not fine else range(len(self.records))
        self._with_large = [i for i in wanted if large_path(self.folder / self.records[i].path).is_file()]
        self._large_starts = dict(
            zip(self._with_large, np.cumsum([0, *(self.records[i].frames for i in self._with_large)]), strict=False)
        )
        self._large = self._cached_large(split) if self._with_large else None
        frame, sound = HEIGHT_PX * WIDTH_PX * 3, 4 * self.cutter.rate_hz
        clips = round(_KEPT_BYTES / readers * len(self) / (int(self._starts[-1]) * frame))
        seconds = sum(record.seconds for record in self.records)
        sounds = round(_KEPT_SOUND_BYTES / readers * len(self) / (1 + sound * seconds))
        self._decoded = lru_cache(max(1, clips))(self._decode)
        self._unpacked = lru_cache(max(1, clips))(self._unpack_sounds)
        self._read = lru_cache(max(1, sounds))(self._read_sound)
        self._voices = lru_cache(None)(self._find_voices)

    def __len__(self) -> int:
        return len(self.records)

    def frames(self, index: int) -> NDArray[np.uint8]:
        """Returns all frames of a clip, ``(time, 128, 96, 3)``."""
        if self._frames is None:
            return self._decoded(index)
        return self._frames[self._starts[index] : self._starts[index + 1]]

    def large(self, index: int) -> NDArray[np.uint8] | None:
        """Returns all frames of a clip at three times the resolution, ``(time, 384, 288, 3)``; None if it has none."""
        start = self._large_starts.get(index)
        return None if start is None or self._large is None else self._large[start : start + self.records[index].frames]

    def sounds(self, index: int) -> Sequence[NDArray[np.float32]]:
        """Returns a clip's recorded sound and its copies by other voices, ``(n,)`` each, decoded when they are asked for."""
        return self._unpacked(index) if self.records[index].shard else _Sounds(self._voices(index), self._read)

    def windows(self, index: int) -> NDArray[np.float32]:
        """Returns the windows of a clip's recorded sound, one for each frame: ``(time, samples)``."""
        return self.heard(self.sounds(index)[0], self.records[index].frames)

    def speaker_weights(self, evenness: float) -> NDArray[np.float64]:
        """Returns the chance of each clip to be drawn, as ``speaker_weights`` of the manifest says."""
        return speaker_weights(self.records, evenness)

    def heard(self, samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
        """Cuts the first ``frames`` windows of a sound ``(n,)``: ``(frames, samples)``; silence follows sound that ends early."""
        needed = self.cutter.start(frames) + self.cutter.length  # the last window reaches past the last frame
        padded = np.concatenate([samples[:needed], np.zeros(max(0, needed - len(samples)), np.float32)])
        return self.cutter.cut(padded)[:frames]

    def _find_voices(self, index: int) -> list[Path]:
        return with_copies((self.folder / self.records[index].path).with_suffix(".flac"))

    def _read_sound(self, path: Path) -> NDArray[np.float32]:
        return read_audio(path).at(self.cutter.rate_hz).samples

    def _unpack_sounds(self, index: int) -> list[NDArray[np.float32]]:
        with self.files.of(self.records[index]) as video:
            return [self._read_sound(path) for path in with_copies(video.with_suffix(".flac"))]

    def _decode(self, index: int) -> NDArray[np.uint8]:
        record = self.records[index]
        with self.files.of(record) as video:
            frames = read_video(video)
        if len(frames) < record.frames:
            raise DataError(f"{record.clip} has {len(frames)} frames and not {record.frames}; prepare it again.")
        return frames[: record.frames]

    def _cached_frames(self, split: str) -> NDArray[np.uint8]:
        path = self._cache(split, "")
        frames = cached_frames(path, [record.frames for record in self.records], HEIGHT_PX, WIDTH_PX, self._decode)
        delete_older(path.parent, {path}, (self.folder / MANIFEST).stat().st_mtime)
        return frames

    def _cached_large(self, split: str) -> NDArray[np.uint8]:
        def decode(number: int) -> NDArray[np.uint8]:
            record = self.records[self._with_large[number]]
            frames = read_video(large_path(self.folder / record.path))
            if len(frames) < record.frames:
                raise DataError(
                    f"{record.clip} has {len(frames)} large frames and not {record.frames}; prepare it again."
                )
            return frames[: record.frames]

        lengths = [self.records[index].frames for index in self._with_large]
        size = FINE * HEIGHT_PX, FINE * WIDTH_PX
        return cached_frames(self._cache(split, "-large"), lengths, *size, decode)

    def _cache(self, split: str, kind: str) -> Path:
        key = zlib.crc32("".join(record.path for record in self.records).encode())
        key = zlib.crc32(str((self.folder / MANIFEST).stat().st_mtime_ns).encode(), key)
        return self.folder / "cache" / f"{split}{kind}-{key:08x}.npy"

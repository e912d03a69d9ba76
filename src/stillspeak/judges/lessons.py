"""Says what lip reader and sync scorer learn: batches, losses, and figures on clips that they never learn from. Ours.

Both look at grey mouths of aligned crops.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.data.augment import jitter_voice
from stillspeak.data.clips import Clips
from stillspeak.errors import DataError
from stillspeak.evaluation.sync import mouth_windows, offset_of, sound_windows
from stillspeak.evaluation.words import BLANK, GRID_GRAMMAR, GRID_WORDS, decode, word_errors
from stillspeak.judges.lipreader import LipReader
from stillspeak.judges.sync import SyncScorer
from stillspeak.media.mouths import LEFT_PX, MOUTH_PX, TOP_PX, grey_faces, mouths, normal
from stillspeak.media.spectrum import RATE_HZ, log_mel
from stillspeak.training.phase import Part
from stillspeak.training.tensors import sounds

_MARGIN_PX = 5  # around the mouth's square, so that it can be cut out shifted and scaled
_SIDES_PX = (44, 52)  # of the square cut out
_SLOWEST, _FASTEST, _FURTHEST_FRAMES = 0.85, 1.15, 4
_TEACHING_SHARE = 0.5  # of the training in which word times teach, less and less
_LEAST_FRAMES = 20  # ours: a shorter clip has too few moments to tell apart
_SHIFTS = np.arange(-8, 9)
Random = np.random.Generator
Open = Callable[[str], Clips]  # opens the clips of a split; raises DataError if there are none


class Lesson(Protocol):
    """Describes how a judge's network learns.

    Attributes:
        network: the network that learns.
        mouths: the clips that it learns from.
    """

    network: nn.Module
    mouths: "Mouths"

    def draw(self, clips: Sequence[tuple[int, Random]]) -> Part:
        """Draws a part of a batch: one example of each clip, varied by its own random generator."""
        ...

    def outputs(self, part: Part) -> tuple[Tensor, ...]:
        """Gives a part of a batch to the network."""
        ...

    def loss(self, outputs: tuple[Tensor, ...], part: Part, progress: float) -> dict[str, Tensor]:
        """Returns the ``loss`` of what the network made of a part, and more scalars. ``progress``: the share of steps done."""
        ...

    def figures(self, network: nn.Module, split: str) -> dict[str, float]:
        """Measures a network on the CPU on a split. Returns nothing if the split cannot tell; raises DataError if it is empty."""
        ...


class Mouths:
    """Holds the grey mouths of all clips of a split with a margin, in memory, and the clips themselves."""

    def __init__(self, clips: Clips, evenness: float) -> None:
        self.clips = clips
        rows = slice(TOP_PX - _MARGIN_PX, TOP_PX + MOUTH_PX + _MARGIN_PX)
        columns = slice(LEFT_PX - _MARGIN_PX, LEFT_PX + MOUTH_PX + _MARGIN_PX)
        self.pieces = [grey_faces(clips.frames(i)[:, rows, columns]) for i in range(len(clips))]
        self.weights = clips.speaker_weights(evenness)

    def keep(self, chosen: Sequence[bool], what: str) -> None:
        """Draws only from the chosen clips from now on. Raises DataError, naming ``what`` they are, if there are none."""
        if not any(chosen):
            raise DataError(f"{self.clips.folder} holds no {what} to learn from.")
        self.weights = self.weights * chosen / (self.weights * chosen).sum()

    def choose(self, count: int, random: Random) -> list[int]:
        """Chooses some clips by the weight of their speakers."""
        return random.choice(len(self.clips), count, p=self.weights).tolist()

    def varied(self, index: int, times: NDArray[np.int64], random: Random) -> NDArray[np.float32]:
        """Shifts, scales, mirrors and brightens frames of a clip alike, and adds grain; returns ``(time, 48, 48)``."""
        side = int(random.integers(_SIDES_PX[0], _SIDES_PX[1] + 1))
        piece = self.pieces[index]
        top, left = random.integers(0, piece.shape[1] - side + 1, 2)
        cut = piece[times, top : top + side, left : left + side].astype(np.float32)
        sized = np.stack([cv2.resize(frame, (MOUTH_PX, MOUTH_PX)) for frame in cut])
        if random.random() < 0.5:  # noqa: PLR2004 - an even coin
            sized = sized[:, :, ::-1]
        bright = 255 * (sized / 255) ** np.exp(random.uniform(-0.4, 0.4))
        grain = random.normal(0, random.uniform(0, 0.06), bright.shape)
        return (normal(bright) + grain).astype(np.float32)


class LipReading:
    """Teaches the lip reader with CTC, and in the first half of its training with the times of the words as well.

    Args:
        network: the network that learns.
        clips: opens the clips of a split.
        evenness: what ``DataConfig.evenness`` says.

    Raises:
        DataError: if there are no training clips with GRID's words.
    """

    def __init__(self, network: LipReader, clips: Open, evenness: float) -> None:
        self.network: nn.Module = network
        self.open, self.mouths = clips, Mouths(clips("train"), evenness)
        known = [len(_known_words(record.text)) > 0 for record in self.mouths.clips.records]
        self.mouths.keep(known, "clips with GRID's words")
        self.time = max(record.frames for record in self.mouths.clips.records)

    def draw(self, clips: Sequence[tuple[int, Random]]) -> Part:
        """Draws sentences ``(clips, words)``, words of frames ``(clips, time)``, mouths ``(clips, time, 48, 48)``.

        A sentence that is shorter than others ends with -1.
        """
        looks, labels, sentences = [], [], []
        for index, random in clips:
            record = self.mouths.clips.records[index]
            middle = (record.frames - 1) / 2
            speed, shift = random.uniform(_SLOWEST, _FASTEST), random.uniform(-_FURTHEST_FRAMES, _FURTHEST_FRAMES)
            times = middle + (np.arange(self.time) - (self.time - 1) / 2) * speed + shift
            times = times.round().clip(0, record.frames - 1).astype(int)
            looks.append(self.mouths.varied(index, times, random))
            spoken = np.zeros(record.frames, np.int64)
            for word in record.words:
                if word.word in GRID_WORDS:
                    spoken[round(word.start * 25) : round(word.end * 25)] = 1 + GRID_WORDS.index(word.word)
            labels.append(spoken[times])
            sentences.append(torch.tensor([1 + GRID_WORDS.index(word) for word in _known_words(record.text)]))
        targets = nn.utils.rnn.pad_sequence(sentences, batch_first=True, padding_value=-1)
        return targets, torch.from_numpy(np.stack(labels)), sounds(np.stack(looks))

    def outputs(self, part: Part) -> tuple[Tensor, ...]:
        """Returns the log-probabilities of words in each frame."""
        return (self.network(part[-1]),)

    def loss(self, outputs: tuple[Tensor, ...], part: Part, progress: float) -> dict[str, Tensor]:
        """Goes from the cross-entropy of each frame's word, which finds a beginning, to CTC, which may choose the frames."""
        (read,), (sentences, labels, _) = outputs, part
        lengths = (sentences >= 0).sum(1)
        frames = torch.full_like(lengths, read.shape[1])
        ctc = functional.ctc_loss(
            read.transpose(0, 1), sentences.clamp(min=0), frames, lengths, BLANK, zero_infinity=True
        )
        teaching = functional.nll_loss(read.flatten(0, 1), labels.flatten())
        weight = max(0.0, 1 - progress / _TEACHING_SHARE)
        return {"loss": (1 - weight) * ctc + weight * teaching, "ctc": ctc, "frame_loss": teaching}

    @torch.no_grad()
    def figures(self, network: nn.Module, split: str) -> dict[str, float]:
        """Returns word error rate over a split, in percent of the words said, and that of letters alone."""
        clips = self.open(split)
        errors, letters, said, sentences = 0, 0, 0, 0
        for index, record in enumerate(clips.records):
            words = _known_words(record.text)
            if len(words) != len(GRID_GRAMMAR) or record.frames < len(words):
                continue
            read = network(sounds(mouths(clips.frames(index)))[None])[0].numpy()
            found = decode(read, GRID_GRAMMAR, GRID_WORDS)
            errors += word_errors(found, words)
            letters += found[3:4] != words[3:4]
            said, sentences = said + len(words), sentences + 1
        if not said:
            return {}
        return {
            "wer_percent": 100 * errors / said,
            "letters_wrong_percent": 100 * letters / sentences,
            "clips": sentences,
        }


class Syncing:
    """Teaches the sync scorer: in each clip every mouth finds its sound, and every sound its mouth.

    Args:
        network: the network that learns.
        clips: opens the clips of a split.
        evenness: what ``DataConfig.evenness`` says.

    Raises:
        DataError: if there are no training clips of 20 frames or more.
    """

    def __init__(self, network: SyncScorer, clips: Open, evenness: float) -> None:
        self.network: nn.Module = network
        self.compare = network.loss
        self.open, self.mouths = clips, Mouths(clips("train"), evenness)
        long = [record.frames >= _LEAST_FRAMES for record in self.mouths.clips.records]
        self.mouths.keep(long, f"clip of {_LEAST_FRAMES} frames")
        self.time = min(record.frames for record in self.mouths.clips.records if record.frames >= _LEAST_FRAMES)

    def draw(self, clips: Sequence[tuple[int, Random]]) -> Part:
        """Draws spectra ``(clips, time - 4, 40, 20)`` and mouths ``(clips, time - 4, 5, 48, 48)``."""
        looks, heard = [], []
        for index, random in clips:
            looks.append(mouth_windows(self.mouths.varied(index, np.arange(self.time), random)))
            voices = self.mouths.clips.sounds(index)
            voice = voices[int(random.integers(len(voices)))]
            if random.random() < 0.5:  # noqa: PLR2004 - an even coin
                voice = jitter_voice(voice, RATE_HZ, 1.0, random)
            heard.append(sound_windows(log_mel(voice), len(looks[-1]), 25))
        return sounds(np.stack(heard)), sounds(np.stack(looks))

    def outputs(self, part: Part) -> tuple[Tensor, ...]:
        """Returns the embeddings of mouths and sounds, ``(clips, time - 4, size)`` each."""
        heard, looks = part
        mouth, sound = self.network(looks.flatten(0, 1), heard.flatten(0, 1))
        return mouth.unflatten(0, looks.shape[:2]), sound.unflatten(0, looks.shape[:2])

    def loss(self, outputs: tuple[Tensor, ...], part: Part, progress: float) -> dict[str, Tensor]:
        """Returns the cross-entropy of true pairs among all pairs of a clip."""
        return {"loss": self.compare(*outputs)}

    @torch.no_grad()
    def figures(self, network: nn.Module, split: str) -> dict[str, float]:
        """Returns share of shifts of -8 to 8 frames that are found within one frame, in percent, and the mean confidence."""
        assert isinstance(network, SyncScorer)
        clips = self.open(split)
        found, confidences = [], []
        for index in (i for i, record in enumerate(clips.records) if record.frames >= _LEAST_FRAMES):
            looks = network.mouth(sounds(mouth_windows(mouths(clips.frames(index))))).numpy()
            spectrum = log_mel(clips.sounds(index)[0])
            heard = network.sound(sounds(sound_windows(spectrum, len(looks), 25))).numpy()
            confidences.append(offset_of(looks, heard).confidence)
            for shift in _SHIFTS.tolist():  # the sound comes so many frames late
                first, last = max(0, shift), len(looks) + min(0, shift)
                moved = offset_of(looks[first:last], heard[first - shift : last - shift])
                found.append(abs(moved.offset - shift) <= 1)
        return {"within_1_frame_percent": 100 * float(np.mean(found)), "confidence": float(np.mean(confidences)),
                "clips": len(clips)}  # fmt: skip


def _known_words(text: str) -> list[str]:
    """Returns the words of a sentence, or none if one of them is not GRID's."""
    words = text.split()
    return words if all(word in GRID_WORDS for word in words) else []

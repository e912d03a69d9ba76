"""What lip reader and sync scorer learn: batches, losses, and their figures on clips never trained on. Ours.

Both look at grey mouths of aligned crops. Every batch is a pure function of the seed and the step.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import JudgeTrainConfig, LipReaderConfig, SyncConfig
from stillspeak.data.augment import jitter_voice
from stillspeak.data.clips import Clips
from stillspeak.errors import DataError
from stillspeak.evaluation.sync import mouth_windows, offset_of, sound_windows
from stillspeak.evaluation.words import BLANK, GRID_GRAMMAR, GRID_WORDS, decode, word_errors
from stillspeak.judges.lipreader import LipReader
from stillspeak.judges.sync import SyncScorer
from stillspeak.media.mouths import LEFT_PX, MOUTH_PX, TOP_PX, WINDOW_FRAMES, grey_faces, mouths, normal
from stillspeak.media.spectrum import BANDS, RATE_HZ, WINDOW_STEPS, log_mel
from stillspeak.training.tensors import sounds

_MARGIN_PX = 5  # around the mouth's square, so that it can be cut out shifted and scaled
_SIDES_PX = (44, 52)  # of the square cut out
_SLOWEST, _FASTEST, _FURTHEST_FRAMES = 0.85, 1.15, 4
_TEACHING_SHARE = 0.5  # of the training in which word times teach, less and less
_LEAST_FRAMES = 20  # ours: a shorter clip has too few moments to tell apart
_SHIFTS = np.arange(-8, 9)
Random = np.random.Generator
Batch = tuple[Tensor, ...]
Graphs = dict[str, tuple[nn.Module, str, str, Tensor]]  # name: module, input, output, an example input


def make_network(config: LipReaderConfig | SyncConfig) -> LipReader | SyncScorer:
    """The network that a config's type asks for."""
    match config:
        case LipReaderConfig():
            return LipReader(config, len(GRID_WORDS))
        case SyncConfig():
            return SyncScorer(config)


def graphs(network: LipReader | SyncScorer) -> Graphs:
    """The parts of a network that are exported."""
    if isinstance(network, LipReader):
        return {"reader": (network, "mouths", "words", torch.zeros(1, 75, MOUTH_PX, MOUTH_PX))}
    return {
        "mouth": (network.mouth, "mouths", "embedding", torch.zeros(2, WINDOW_FRAMES, MOUTH_PX, MOUTH_PX)),
        "sound": (network.sound, "spectrum", "embedding", torch.zeros(2, BANDS, WINDOW_STEPS)),
    }


class Judge(Protocol):
    """How a judge's network learns."""

    mouths: "Mouths"

    def draw(self, random: Random) -> Batch: ...

    def loss(self, batch: Batch, progress: float) -> dict[str, Tensor]: ...

    def figures(self, split: str) -> dict[str, float]:
        """What it can do on a split it was not trained on; empty if the split cannot tell. Raises DataError if there is none."""
        ...


class Mouths:
    """Grey mouths of all clips of a split, with a margin, in memory; and the clips themselves."""

    def __init__(self, clips: Clips, evenness: float) -> None:
        self.clips = clips
        rows = slice(TOP_PX - _MARGIN_PX, TOP_PX + MOUTH_PX + _MARGIN_PX)
        columns = slice(LEFT_PX - _MARGIN_PX, LEFT_PX + MOUTH_PX + _MARGIN_PX)
        self.pieces = [grey_faces(clips.frames(i)[:, rows, columns]) for i in range(len(clips))]
        self.weights = clips.speaker_weights(evenness)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Draws from these clips only from now on."""
        self.weights = self.weights * chosen / (self.weights * chosen).sum()

    def choose(self, count: int, random: Random) -> list[int]:
        """Some clips by the weight of their speakers."""
        return random.choice(len(self.clips), count, p=self.weights).tolist()

    def varied(self, index: int, times: NDArray[np.int64], random: Random) -> NDArray[np.float32]:
        """Frames of a clip, shifted, scaled, mirrored, brightened and with grain alike, ``(time, 48, 48)``."""
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
    """The lip reader: CTC, and in the first half of its training the words' times as well."""

    def __init__(self, config: JudgeTrainConfig, network: LipReader, clips: Callable[[str], Clips]) -> None:
        self.config, self.network, self.open = config, network, clips
        self.mouths = Mouths(clips("train"), config.evenness)
        known = np.array([len(_known_words(record.text)) > 0 for record in self.mouths.clips.records])
        if not known.any():
            raise DataError(f"{self.mouths.clips.folder} holds no clips with GRID's words to learn from.")
        self.mouths.keep(known)
        self.time = max(record.frames for record in self.mouths.clips.records)

    def draw(self, random: Random) -> Batch:
        """Mouths ``(clips, time, 48, 48)``, the word of each frame ``(clips, time)``, sentences ``(clips, words)`` from -1."""
        looks, labels, sentences = [], [], []
        for index in self.mouths.choose(self.config.clips, random):
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
        return sounds(np.stack(looks)), torch.from_numpy(np.stack(labels)), targets

    def loss(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """From the cross-entropy of each frame's word, which finds a beginning, to CTC, which is free to choose the frames."""
        looks, labels, sentences = batch
        read = self.network(looks)
        lengths = (sentences >= 0).sum(1)
        frames = torch.full((len(read),), read.shape[1])
        ctc = functional.ctc_loss(
            read.transpose(0, 1), sentences.clamp(min=0), frames, lengths, BLANK, zero_infinity=True
        )
        teaching = functional.nll_loss(read.flatten(0, 1), labels.flatten())
        weight = max(0.0, 1 - progress / _TEACHING_SHARE)
        return {"loss": (1 - weight) * ctc + weight * teaching, "ctc": ctc.detach(), "frame_loss": teaching.detach()}

    @torch.no_grad()
    def figures(self, split: str) -> dict[str, float]:
        """Word error rate over a split, in percent of the words said, and that of letters alone."""
        clips = self.open(split)
        errors, letters, said, sentences = 0, 0, 0, 0
        for index, record in enumerate(clips.records):
            words = _known_words(record.text)
            if len(words) != len(GRID_GRAMMAR) or record.frames < len(words):
                continue
            read = self.network(sounds(mouths(clips.frames(index)))[None])[0].numpy()
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
    """The sync scorer: in each clip, every mouth finds its sound and every sound its mouth."""

    def __init__(self, config: JudgeTrainConfig, network: SyncScorer, clips: Callable[[str], Clips]) -> None:
        self.config, self.network, self.open = config, network, clips
        self.mouths = Mouths(clips("train"), config.evenness)
        long = np.array([record.frames >= _LEAST_FRAMES for record in self.mouths.clips.records])
        if not long.any():
            raise DataError(f"{self.mouths.clips.folder} holds no clip of {_LEAST_FRAMES} frames to learn from.")
        self.mouths.keep(long)
        self.time = min(record.frames for record in self.mouths.clips.records if record.frames >= _LEAST_FRAMES)

    def draw(self, random: Random) -> Batch:
        """Mouths ``(clips, time - 4, 5, 48, 48)`` and spectra ``(clips, time - 4, 40, 20)``."""
        looks, heard = [], []
        for index in self.mouths.choose(self.config.clips, random):
            looks.append(mouth_windows(self.mouths.varied(index, np.arange(self.time), random)))
            voices = self.mouths.clips.sounds(index)
            voice = voices[int(random.integers(len(voices)))]
            if random.random() < 0.5:  # noqa: PLR2004 - an even coin
                voice = jitter_voice(voice, RATE_HZ, 1.0, random)
            heard.append(sound_windows(log_mel(voice), len(looks[-1]), 25))
        return sounds(np.stack(looks)), sounds(np.stack(heard))

    def loss(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """The cross-entropy of true pairs among all pairs of a clip."""
        looks, heard = batch
        mouth, sound = self.network(looks.flatten(0, 1), heard.flatten(0, 1))
        shape = looks.shape[:2]
        return {"loss": self.network.loss(mouth.unflatten(0, shape), sound.unflatten(0, shape))}

    @torch.no_grad()
    def figures(self, split: str) -> dict[str, float]:
        """Share of shifts of -8 to 8 frames that are found within one frame, in percent, and the mean confidence."""
        clips = self.open(split)
        found, confidences = [], []
        for index in (i for i, record in enumerate(clips.records) if record.frames >= _LEAST_FRAMES):
            looks = self.network.mouth(sounds(mouth_windows(mouths(clips.frames(index))))).numpy()
            spectrum = log_mel(clips.sounds(index)[0])
            heard = self.network.sound(sounds(sound_windows(spectrum, len(looks), 25))).numpy()
            confidences.append(offset_of(looks, heard).confidence)
            for shift in _SHIFTS.tolist():  # the sound comes so many frames late
                first, last = max(0, shift), len(looks) + min(0, shift)
                moved = offset_of(looks[first:last], heard[first - shift : last - shift])
                found.append(abs(moved.offset - shift) <= 1)
        return {"within_1_frame_percent": 100 * float(np.mean(found)), "confidence": float(np.mean(confidences)),
                "clips": len(clips)}  # fmt: skip


def _known_words(text: str) -> list[str]:
    """The words of a sentence, or none if one of them is not GRID's."""
    words = text.split()
    return words if all(word in GRID_WORDS for word in words) else []

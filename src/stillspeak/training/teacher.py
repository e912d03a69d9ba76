"""Trains the phoneme-to-viseme model (the teacher) on clips whose words are known, and applies it to sentences. Ours.

It predicts how a mouth moves in sentences that were read aloud, and writes that beside the clips (``sentences.npz``), for
``data.sentences`` of any training.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from stillspeak.data.landmarks import mouth_opening
from stillspeak.data.manifest import ClipRecord, read_manifest, speaker_weights
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code, mirrored
from stillspeak.data.phonemes import PHONEMES, STEPS_PER_FRAME, occupancy
from stillspeak.data.sentences import Sentence, phonemes_path, read_phonemes, write_sentences
from stillspeak.errors import DataError, OutputError
from stillspeak.evaluation.mouth import match
from stillspeak.judge_config import TeacherConfig
from stillspeak.model.teacher import Teacher
from stillspeak.training.warm_start import CODE_SCALE, code_loss, cosine


class Lesson(NamedTuple):
    """Holds a clip's phonemes ``(frames, phonemes)``, and the mean code of its mouth and its mirror image ``(frames, code)``."""

    said: NDArray[np.float32]
    codes: NDArray[np.float32]


def teach(destination: str | Path, sentences: list[Sentence], config: TeacherConfig | None = None) -> str:
    """Trains a teacher on a prepared folder's training clips and writes what mouths do in sentences.

    Args:
        destination: the folder, after ``prepare_sentences``.
        sentences: the sentences that were read there.
        config: the config of the teacher.

    Returns:
        A line that says how well the teacher predicts the mouths of clips that it was not trained on.

    Raises:
        DataError: if no training clip's phonemes are known, or their files are damaged.
        OutputError: if the folder cannot be written.
    """
    folder, config = Path(destination).resolve(), config or TeacherConfig()
    records = [record for record in read_manifest(folder) if phonemes_path(folder, record).is_file()]
    heard = [(record, read_phonemes(phonemes_path(folder, record))) for record in records]
    known = [(record, occupancy(phonemes, record.frames)) for record, phonemes in heard if phonemes.size]
    clips = [record for record, _ in known if record.split == "train"]
    if not clips:
        raise DataError(f"Of no training clip of {folder} are phonemes known: their words are not English to flite.")
    code = fit_mouth_code([record.points() for record in clips], config.code)
    lessons = [_lesson(record, said, code) for record, said in known if record.split == "train"]
    teacher = fit(lessons, speaker_weights(clips, config.evenness), code, config)
    texts = [read_phonemes(phonemes_path(folder, sentence)) for sentence in sentences]
    offsets = [code.to_offsets(tell(teacher, occupancy(one, one.shape[1] // STEPS_PER_FRAME))) for one in texts]
    try:
        write_sentences(folder, [sentence.name for sentence in sentences], offsets)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}.") from error
    return f"{len(sentences)} sentences, {sum(map(len, offsets)) / 25:.0f} s. {_figures(known, teacher, code)}"


def fit(lessons: list[Lesson], weights: NDArray[np.float64], code: MouthCode, config: TeacherConfig) -> Teacher:
    """Trains a teacher on lessons drawn by ``weights``; the same lessons make the same teacher."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        teacher = Teacher(config, len(PHONEMES))
        optimiser = torch.optim.AdamW(teacher.parameters(), config.learning_rate, weight_decay=0.01, fused=True)
        opening = torch.from_numpy(code.opening)
        for step in tqdm(range(config.steps), unit="step"):
            random = np.random.default_rng([0, step])
            chosen = [lessons[index] for index in random.choice(len(lessons), config.clips, p=weights)]
            time = min(len(lesson.said) for lesson in chosen)
            starts = [int(random.integers(0, len(lesson.said) - time + 1)) for lesson in chosen]
            cut = [
                Lesson(*(part[at : at + time] for part in lesson)) for lesson, at in zip(chosen, starts, strict=True)
            ]
            said, codes = (_stack(list(parts)) for parts in zip(*cut, strict=True))
            code_loss(CODE_SCALE * teacher(said), codes, opening).backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
            optimiser.param_groups[0]["lr"] = config.learning_rate * cosine(step, config.steps)
            optimiser.step()
            optimiser.zero_grad()
    return teacher.eval()


@torch.no_grad()
def tell(teacher: Teacher, said: NDArray[np.float32]) -> NDArray[np.float32]:
    """Predicts the mouth codes of one sentence: ``(frames, phonemes)`` -> ``(frames, code)``."""
    return teacher(torch.from_numpy(said)[None])[0].numpy()


def _lesson(record: ClipRecord, said: NDArray[np.float32], code: MouthCode) -> Lesson:
    points = record.points()
    return Lesson(said, np.mean([code.encode(points), code.encode(mirrored(points))], axis=0))


def _stack(arrays: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))


def _figures(known: list[tuple[ClipRecord, NDArray[np.float32]]], teacher: Teacher, code: MouthCode) -> str:
    """Returns the correlation of the opening on clips that were never trained on, by split."""
    found = []
    for split in ("heldout", "validation"):
        chosen = [(record, said) for record, said in known if record.split == split]
        if chosen:
            matches = [
                match(tell(teacher, said) @ code.opening, mouth_opening(record.points())) for record, said in chosen
            ]
            found.append(f"{split}: {np.mean([one.correlation for one in matches]):.2f} ({len(chosen)} clips)")
    return f"Opening as the phonemes alone tell it, correlation on {'; '.join(found)}." if found else ""

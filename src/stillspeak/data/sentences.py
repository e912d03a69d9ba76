"""Lets synthetic voices read sentences aloud beside the clips of a prepared folder, and notes which phoneme is said when. Ours.

A corpus has few words and few voices. ``training/teacher.py`` learns from its clips how phonemes move a mouth, and predicts for
each sentence how a mouth would move. So the sound phase gets sound and mouths without a picture.
"""

import json
import zlib
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import soundfile
from numpy.typing import NDArray

from stillspeak.data.manifest import ClipRecord, evenly, read_manifest
from stillspeak.data.phonemes import VOICES, NothingToSayError, phonemes_along, read_sentence, require_flite
from stillspeak.data.pools import require_counts, work_through
from stillspeak.data.readings import make_readings
from stillspeak.data.voices import RATE_HZ, make_voices, with_copies, write_voice
from stillspeak.errors import DataError, OutputError
from stillspeak.media.audio import read_audio
from stillspeak.whole import whole

SENTENCES = "sentences.npz"
FOLDER = "sentences"
_LONGEST = 300  # the most characters that a sentence may have
_KEPT = 1000  # the sounds of so many sentences stay in memory
_PART_OF_SPEECH = ("lrw",)  # clips of these corpora hold more words than the one that is known
_TAUGHT = ("train", "heldout", "validation")
_PACES = (-0.15, 0.3)  # ours: bounds of the logarithm of the pace, for flite reads faster than people do


class Sentence(NamedTuple):
    """Holds a text and the voice that reads it."""

    text: str
    voice: str

    @property
    def name(self) -> str:
        """Returns the name of its files, which is the same wherever it is read."""
        return f"{zlib.crc32(repr(tuple(self)).encode()):08x}"


class Sentences:
    """Reads the sentences of a prepared folder for which the phoneme-to-viseme model has predicted mouths.

    Attributes:
        paths: the files of the sounds; copies by other voices lie beside them.
        offsets: how a mouth moves that says them, ``(frames, 58)`` each, in crop pixels (``mouth_code.offsets``).

    Raises:
        DataError: if the folder has no sentences, or they are damaged.
    """

    def __init__(self, folder: str | Path, rate_hz: int = RATE_HZ) -> None:
        path = Path(folder) / SENTENCES
        how = f"stillspeak prepare sentences TEXT {folder}, or, of shards, stillspeak data unpack"
        if not path.is_file():
            raise DataError(f"{folder} holds no {SENTENCES}; make it with: {how}")
        try:
            with np.load(path) as arrays:
                ends = arrays["ends"]
                self.offsets = np.split(arrays["offsets"].astype(np.float32), ends[:-1])
                self.paths = [path.parent / str(name) for name in arrays["paths"]]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged; make it again with: {how}") from error
        self.rate_hz = rate_hz
        self.sounds = lru_cache(_KEPT)(self._load_sounds)

    def __len__(self) -> int:
        return len(self.paths)

    def _load_sounds(self, index: int) -> list[NDArray[np.float32]]:
        """Reads a sentence's sound and its copies by other voices, ``(n,)`` each."""
        path = self.paths[index]
        return [read_audio(sound).at(self.rate_hz).samples for sound in with_copies(path)]


def write_sentences(folder: Path, names: list[str], offsets: list[NDArray[np.float32]]) -> None:
    """Writes ``sentences.npz``, whole or not at all.

    Args:
        folder: the prepared folder.
        names: the ``Sentence.name`` of each sentence.
        offsets: how the mouth moves in each, ``(frames, 58)``.
    """
    with whole(folder / SENTENCES) as part:
        np.savez_compressed(
            part,
            paths=np.array([f"{FOLDER}/{name}.flac" for name in names]),
            ends=np.cumsum([len(one) for one in offsets]),
            offsets=np.concatenate(offsets).astype(np.float16),
        )


def prepare_sentences(
    text: str | Path, destination: str | Path, workers: int | None = None, voices: int = 0, readings: int = 0
) -> list[Sentence]:
    """Lets voices read every line of a text, and as many of the corpus's own sentences; notes which phoneme is said when.

    It also notes the phonemes of every clip whose words are known and English. Files that exist are left as they are.

    Args:
        text: a UTF-8 file with one sentence a line; every voice reads each.
        destination: a prepared folder.
        workers: how many processes work; by default one for each core.
        voices: how many revoiced copies each sentence gets.
        readings: how many other synthetic voices read each sentence in the same time.

    Returns:
        The sentences that were read.

    Raises:
        DataError: if the text cannot be used, the folder was not prepared, no words are known in it, or flite is missing.
        OutputError: if the destination cannot be written.
    """
    destination = Path(destination).resolve()
    lines = read_lines(Path(text))
    require_counts(workers, voices, readings)
    require_flite()
    clips, sentences = _spoken(destination, lines)
    work = partial(_do, destination=destination, voices=voices, readings=readings)
    try:
        (destination / FOLDER).mkdir(exist_ok=True)
        work_through(work, [*clips, *sentences], "text", workers)
    except (OSError, soundfile.LibsndfileError) as error:
        why = error.strerror if isinstance(error, OSError) else error.error_string
        raise OutputError(f"{destination / FOLDER} cannot be written: {why}.") from error
    for part in (destination / FOLDER).rglob(".*.part*"):
        part.unlink(missing_ok=True)  # a run that was killed left it
    return sentences


def _spoken(destination: Path, lines: list[str]) -> tuple[list[ClipRecord], list[Sentence]]:
    """Returns the clips whose words are known, and the sentences: every voice reads every line, and as many of the corpus.

    Raises:
        DataError: if no training clip's words are known.
    """
    clips = [
        r for r in read_manifest(destination) if r.spoken and r.split in _TAUGHT and r.corpus not in _PART_OF_SPEECH
    ]
    own = [record.spoken for record in clips if record.split == "train"]
    if not own:
        raise DataError(f"{destination} holds no training clips whose words are known: nothing to learn phonemes from.")
    sentences = [Sentence(line, voice) for line in lines for voice in VOICES]
    chosen = evenly(sorted(set(own)), len(sentences))
    sentences += [Sentence(line, VOICES[number % len(VOICES)]) for number, line in enumerate(chosen)]
    return clips, list(dict.fromkeys(sentences))


def read_lines(path: Path) -> list[str]:
    """Reads the sentences of a text file, one a line. Raises DataError if there are none that can be read aloud."""
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8.") from error
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST:
            raise DataError(f"Line {number} of {path} has {len(line)} characters; a sentence has at most {_LONGEST}.")
    said = [line for line in lines if any(letter.isalpha() for letter in line)]
    if not said:
        raise DataError(f"{path} holds no sentences.")
    return said


def phonemes_path(destination: Path, what: ClipRecord | Sentence) -> Path:
    """Returns the path of the phonemes of a clip or a sentence."""
    if isinstance(what, Sentence):
        return destination / FOLDER / f"{what.name}.json"
    return destination / FOLDER / "clips" / what.corpus / what.speaker / f"{what.clip}.json"


def read_phonemes(path: Path) -> NDArray[np.uint8]:
    """Reads the phonemes of a clip or a sentence, ``(readings, steps)``; empty if unknown. Raises DataError if damaged."""
    try:
        return np.array(json.loads(path.read_text("utf-8"))["phonemes"], np.uint8)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged; delete it, and run stillspeak prepare sentences again.") from error


def _do(what: ClipRecord | Sentence, destination: Path, voices: int, readings: int) -> None:
    """Notes the phonemes of a clip; or reads a sentence aloud."""
    path = phonemes_path(destination, what)
    if isinstance(what, ClipRecord):
        flac = (destination / what.path).with_suffix(".flac")
        if not _is_noted(path, what.spoken, flac):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                phonemes = phonemes_along(read_audio(flac).at(RATE_HZ).samples, what.spoken)
            except NothingToSayError:
                phonemes = np.zeros((0, 0), np.uint8)
            _write(path, what.spoken, phonemes)
        return
    flac = path.with_suffix(".flac")
    if not _is_noted(path, what.text, flac):
        pace = np.exp(np.random.default_rng(zlib.crc32(what.name.encode())).uniform(*_PACES))
        spoken = read_sentence(what.text, what.voice, float(pace))
        write_voice(flac, spoken.samples)
        _write(path, what.text, spoken.phonemes[None])
    make_voices(flac, voices)
    make_readings(flac, what.text, readings)


def _write(path: Path, text: str, phonemes: NDArray[np.uint8]) -> None:
    """Writes the phonemes of a clip or a sentence, whole or not at all."""
    content: dict[str, Any] = {"text": text, "phonemes": phonemes.tolist()}
    with whole(path) as part:
        part.write_text(json.dumps(content), "utf-8")


def _is_noted(path: Path, text: str, flac: Path) -> bool:
    """Returns whether the phonemes of these words were noted after the sound was made."""
    try:
        return (
            json.loads(path.read_text("utf-8"))["text"] == text and path.stat().st_mtime_ns >= flac.stat().st_mtime_ns
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False

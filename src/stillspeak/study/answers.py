"""Chooses what each visitor of a study sees, and keeps their answers in an SQLite file. A visitor is a random token.

When a visitor comes, they get the videos that were shown least, in random order, with one attention check. The first answer to a
question stays. An answer is on the disk before the visitor's page is told that it was taken.
"""

import datetime
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stillspeak.errors import DataError, OutputError
from stillspeak.study.build import ANSWERS, Film, Study
from stillspeak.study.videos import REAL

_MOST_VISITORS = 20_000  # ours: more are no visitors
_TABLES = """
CREATE TABLE IF NOT EXISTS study (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS visitors (token TEXT PRIMARY KEY, begun TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS questions (visitor TEXT, number INTEGER, left TEXT NOT NULL, right TEXT NOT NULL,
    PRIMARY KEY (visitor, number));
CREATE TABLE IF NOT EXISTS answers (visitor TEXT, number INTEGER, answer TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (visitor, number));
"""
_MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class Question:
    """Holds one question to a visitor, with their answer.

    Attributes:
        number: its place among the visitor's questions, from 1.
        left: the name of the video on the left, or of the only one.
        right: the name of the video on the right; empty in a Turing test.
        answer: what the visitor answered; empty while they have not.
        seconds: how long they took.
    """

    number: int
    left: str
    right: str
    answer: str = ""
    seconds: float = 0.0


def is_right(question: Question, study: Study) -> bool:
    """Returns whether an answer is right. For a pair, whether it is what the attention check asked for."""
    left = study.film(question.left)
    if question.right:
        return study.film(question.left if question.answer == "left" else question.right).check == "this"
    return question.answer == (left.check or ("real" if left.method == REAL else "generated"))


class Answers:
    """Keeps the answers of a study. Several threads may use it at once.

    Args:
        folder: the folder of the study.
        study: the study that the answers must belong to.
        seed: a seed for what visitors see; by default a random one.

    Raises:
        DataError: if the answers in the folder belong to another study.
        OutputError: if the file cannot be opened or written.
    """

    def __init__(self, folder: Path, study: Study, seed: int | None = None) -> None:
        self._study, self._lock = study, threading.Lock()
        self._random = Random(secrets.randbits(64) if seed is None else seed)
        try:
            self._base = sqlite3.connect(folder / ANSWERS, check_same_thread=False, timeout=30)
            self._base.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)
            with self._base:
                if not self._base.execute("SELECT name FROM study").fetchall():
                    self._base.execute("INSERT INTO study VALUES (?)", (study.name,))
                names = self._base.execute("SELECT name FROM study").fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"{folder / ANSWERS} cannot be used: {error}.") from error
        if names != [(study.name,)]:
            raise DataError(f"{folder / ANSWERS} holds answers to another study.")

    def close(self) -> None:
        """Closes the file."""
        self._base.close()

    def begin(self) -> str:
        """Adds a visitor with questions of their own, and returns their token. Raises DataError if too many came."""
        token = secrets.token_urlsafe(16)
        with self._lock, self._base:
            self._base.execute("BEGIN IMMEDIATE")
            if self._base.execute("SELECT COUNT(*) FROM visitors").fetchone()[0] >= _MOST_VISITORS:
                raise DataError("The study has had all the visitors that it can have.")
            sides = "(SELECT left AS film FROM questions UNION ALL SELECT right FROM questions)"
            rows = self._base.execute(f"SELECT film, COUNT(*) FROM {sides} GROUP BY film").fetchall()
            questions = self._drawn(Counter(dict(rows)))
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            self._base.execute("INSERT INTO visitors VALUES (?, ?)", (token, now))
            self._base.executemany(
                "INSERT INTO questions VALUES (?, ?, ?, ?)",
                [(token, number, *names) for number, names in enumerate(questions, 1)],
            )
        return token

    def questions(self, token: str) -> list[Question]:
        """Returns all questions of a visitor, in order. Raises DataError if there is no such visitor."""
        with self._lock:
            rows = self._base.execute(
                "SELECT number, left, right, COALESCE(answer, ''), COALESCE(seconds, 0) FROM questions "
                "LEFT JOIN answers USING (visitor, number) WHERE visitor = ? ORDER BY number",
                (token,),
            ).fetchall()
        if not rows:
            raise DataError("There is no such visitor; begin again.")
        return [Question(*row) for row in rows]

    def answer(self, token: str, number: int, answer: str, seconds: float) -> list[Question]:
        """Takes an answer, unless there is one already; returns all questions, with the answers that count.

        Raises:
            DataError: if there is no such question, or this is no answer to it.
        """
        if answer not in self._study.answers:
            raise DataError(f"The answer must be {' or '.join(self._study.answers)}, not {answer!a}.")
        if not any(question.number == number for question in self.questions(token)):
            raise DataError(f"There is no question {number}.")
        with self._lock, self._base:
            self._base.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
                (token, number, answer, min(max(seconds, 0.0), _MOST_SECONDS)),
            )
        return self.questions(token)

    def everyone(self) -> list[list[Question]]:
        """Returns the questions of every visitor, in the order in which the visitors came."""
        with self._lock:
            tokens = self._base.execute("SELECT token FROM visitors ORDER BY rowid").fetchall()
        return [self.questions(token) for (token,) in tokens]

    def _drawn(self, shown: Counter[str]) -> list[tuple[str, str]]:
        """Draws the videos of a new visitor's questions, left and right."""
        films = [film for film in self._study.films if not film.check]
        checks = [film for film in self._study.films if film.check]
        if self._study.kind == "turing":
            questions = self._single(films, shown)
            check = self._random.choice(checks).name, ""
        else:
            questions = self._pairs(films, shown)
            check = self._sides(*(film.name for film in checks))
        self._random.shuffle(questions)
        questions.insert(self._random.randint(len(questions) // 2, len(questions)), check)
        return questions

    def _single(self, films: list[Film], shown: Counter[str]) -> list[tuple[str, str]]:
        """Draws generated and real videos of different clips; those shown least come first."""
        generated, real = self._study.shown
        taken: list[Film] = []
        for wanted, among in (
            (generated, [film for film in films if film.method != REAL]),
            (real, [film for film in films if film.method == REAL]),
        ):
            count = 0
            for film in self._least_shown(among, shown):
                if count < wanted and film.clip not in {other.clip for other in taken}:
                    taken.append(film)
                    count += 1
        return [(film.name, "") for film in taken]

    def _pairs(self, films: list[Film], shown: Counter[str]) -> list[tuple[str, str]]:
        """Draws clips, and puts the two videos of each on random sides."""
        first, second = self._study.methods
        other = {film.clip: film for film in films if film.method == second}
        least = self._least_shown([film for film in films if film.method == first], shown)
        return [self._sides(film.name, other[film.clip].name) for film in least[: self._study.shown[0]]]

    def _least_shown(self, films: Iterable[Film], shown: Counter[str]) -> list[Film]:
        mixed = [*films]
        self._random.shuffle(mixed)
        return sorted(mixed, key=lambda film: shown[film.name])

    def _sides(self, one: str, other: str) -> tuple[str, str]:
        return (one, other) if self._random.random() < 0.5 else (other, one)  # noqa: PLR2004 - a coin


def read_answers(folder: Path, study: Study) -> list[list[Question]]:
    """Reads the questions and answers of all visitors so far. Raises DataError if nobody came yet, or the file is damaged."""
    if not (folder / ANSWERS).is_file():
        raise DataError(f"Nobody has seen {folder} yet; show it with: stillspeak study serve {folder}")
    with closing(Answers(folder, study)) as answers:
        try:
            return answers.everyone()
        except (sqlite3.Error, DataError) as error:
            raise DataError(f"{folder / ANSWERS} is damaged: {error}") from error

"""Words: the grammar's likeliest sentence against all paths, and error rates by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillspeak.evaluation.words import GRID_GRAMMAR, GRID_WORDS, decode, wer, word_errors

GRAMMAR, WORDS = (("a", "b"), ("c", "d")), ("a", "b", "c", "d")


@given(st.integers(0, 10_000))
def test_decoding_finds_the_likeliest_path_of_all(seed: int):
    scores = np.random.default_rng(seed).normal(0, 2, (5, 5))
    best, said = -np.inf, []
    for path in itertools.product(range(5), repeat=5):
        spoken = [label for label, _ in itertools.groupby(path) if label]
        score = sum(scores[t, label] for t, label in enumerate(path))
        if len(spoken) == 2 and spoken[0] in (1, 2) and spoken[1] in (3, 4) and score > best:
            best, said = score, [WORDS[label - 1] for label in spoken]
    assert decode(scores, GRAMMAR, WORDS) == said


def test_a_clearly_shown_sentence_is_read():
    sentence = ["lay", "red", "with", "p", "nine", "again"]
    scores = np.full((75, 1 + len(GRID_WORDS)), -8.0)
    scores[:, 0] = -0.1
    for index, word in enumerate(sentence):
        scores[10 + 8 * index : 15 + 8 * index, 1 + GRID_WORDS.index(word)] = 0
    assert decode(scores, GRID_GRAMMAR, GRID_WORDS) == sentence


def test_too_few_frames_for_a_sentence_is_an_error():
    with pytest.raises(ValueError, match="cannot hold"):
        decode(np.zeros((3, 52)), GRID_GRAMMAR, GRID_WORDS)


@pytest.mark.parametrize(
    ("read", "said", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a x c", "a b c", 1),
        ("a c", "a b c", 1),
        ("a b b c", "a b c", 1),
        ("", "a b", 2),
        ("c a", "a c", 2),
    ],
)
def test_word_errors_by_hand(read: str, said: str, errors: int):
    assert word_errors(read.split(), said.split()) == errors
    assert wer(read.split(), said.split()) == pytest.approx(errors / len(said.split()))


def test_a_rate_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="Nothing was said"):
        wer(["a"], [])


def test_grids_grammar_has_51_words():
    assert len(GRID_WORDS) == len(set(GRID_WORDS)) == 51

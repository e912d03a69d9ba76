"""Gaps of a recording are found where frames are missing, repeated or black while the sound speaks, and nowhere else."""

import numpy as np
import pytest

from stillspeak.errors import MediaError
from stillspeak.media.gaps import BLACK, FROZEN, MISSING, Gap, Looker, filled_times, find_gaps, joined, read_gaps

FPS, FRAMES = 25, 75
TIMES = [number / FPS for number in range(FRAMES)]
LOUD, SILENT = np.full(FRAMES, -20.0), np.full(FRAMES, -90.0)
LIGHT = [False] * FRAMES


def moving() -> list[float]:
    return [np.inf, *np.random.default_rng(0).uniform(2, 8, FRAMES - 1)]


def frozen(begin: int, stop: int, noise: float = 0.0) -> list[float]:
    changes = moving()
    changes[begin:stop] = [noise] * (stop - begin)
    changes[stop] = 9.0
    return changes


def spans(gaps: list[Gap]) -> list[tuple[int, int, str]]:
    return [(round(gap.begin * FPS), round(gap.end * FPS), gap.kind) for gap in gaps]


def test_a_whole_recording_has_no_gap():
    assert find_gaps(TIMES, moving(), LIGHT, LOUD) == []


@pytest.mark.parametrize("noise", [0.0, 0.6])
@pytest.mark.parametrize(("begin", "stop"), [(30, 31), (30, 35), (20, 60)])
def test_repeated_frames_are_found_where_the_sound_speaks_also_if_they_were_encoded_again(
    begin: int, stop: int, noise: float
):
    changes = frozen(begin, stop, noise)
    assert spans(find_gaps(TIMES, changes, LIGHT, LOUD)) == [(begin, stop, FROZEN)]
    assert find_gaps(TIMES, changes, LIGHT, SILENT) == []


def test_a_refreshed_picture_does_not_divide_a_freeze():
    changes = frozen(20, 60, 0.2)
    changes[40] = 1.5
    assert spans(find_gaps(TIMES, changes, LIGHT, LOUD)) == [(20, 60, FROZEN)]


def test_somebody_who_sits_still_is_not_frozen():
    changes = frozen(20, 40, 0.2)
    changes[40] = 1.5  # the motion begins slowly, and not with a jump
    assert find_gaps(TIMES, changes, LIGHT, LOUD) == []


def test_frames_that_repeat_in_a_rhythm_are_on_purpose():
    changes = moving()
    changes[4::5] = [0.0] * len(changes[4::5])  # 24 frames shown as 30
    assert find_gaps(TIMES, changes, LIGHT, LOUD) == []


def test_black_frames_are_found_where_the_sound_speaks():
    black = [10 <= number < 14 for number in range(FRAMES)]
    assert spans(find_gaps(TIMES, moving(), black, LOUD)) == [(10, 14, BLACK)]
    assert find_gaps(TIMES, moving(), black, SILENT) == []


@pytest.mark.parametrize("count", [1, 3, 25])
def test_missing_frames_are_found_by_their_times_and_get_them_back(count: int):
    kept = [seconds for number, seconds in enumerate(TIMES) if not 20 <= number < 20 + count]
    gaps = find_gaps(kept, moving()[: len(kept)], LIGHT[: len(kept)], LOUD)
    assert spans(gaps) == [(20, 20 + count, MISSING)]
    filled = [*filled_times(kept, gaps)]
    assert [seconds for seconds, _ in filled] == pytest.approx(TIMES)
    assert [number for number, (_, index) in enumerate(filled) if index is None] == [*range(20, 20 + count)]


def test_a_picture_that_ends_before_its_sound_is_filled_to_the_end_of_it():
    gaps = find_gaps(TIMES[:50], moving()[:50], LIGHT[:50], LOUD)
    assert spans(gaps) == [(50, 75, MISSING)]
    assert [seconds for seconds, _ in filled_times(TIMES[:50], gaps)] == pytest.approx(TIMES)


def test_varying_times_are_no_gaps():
    times = np.cumsum(np.random.default_rng(1).choice([0.02, 0.04, 0.09], 60))
    assert find_gaps([*times], moving()[:60], LIGHT[:60], np.full(200, -20.0)[: int(times[-1] / 0.04)]) == []


def test_gaps_that_touch_become_one():
    step = 1 / FPS
    assert joined([Gap(1.0, 1.2, BLACK), Gap(1.2, 1.3, FROZEN), Gap(2.0, 2.1, BLACK)], step) == [
        Gap(1.0, 1.3, BLACK),
        Gap(2.0, 2.1, BLACK),
    ]


def test_frames_inside_a_listed_gap_are_drawn():
    filled = [index for _, index in filled_times(TIMES, read_gaps("1.2-1.8, 2-2.04"))]
    assert [number for number, index in enumerate(filled) if index is None] == [*range(30, 45), 50]


@pytest.mark.parametrize("text", ["", "1", "2-1", "1-1", "a-b", "-1-2", "1-2,", "1-3,2-4", "1e9-2", "nan-inf", "٣-٤"])
def test_a_list_that_makes_no_sense_is_refused(text: str):
    with pytest.raises(MediaError):
        read_gaps(text)


def test_a_slow_motion_is_not_frozen():
    looker = Looker()
    picture = np.random.default_rng(0).integers(0, 200, (90, 160, 3)).astype(np.uint8)
    for number in range(8):
        looker.push(number / FPS, np.asarray(picture + number, np.uint8))
    assert looker.changes[1] == pytest.approx(1.0, abs=0.01)
    assert max(looker.changes[1:]) > 1.9


def test_dark_pictures_are_not_black():
    looker = Looker()
    dark = np.zeros((90, 160, 3), np.uint8)
    looker.push(0.0, dark)
    dark[30:60, 60:100] = 60
    looker.push(0.04, dark)
    assert looker.black == [True, False]

"""Faces are followed through a film, lost, and found again; a cut begins anew."""

import cv2
import numpy as np

from stillspeak.media.faces import CANONICAL, find_faces
from stillspeak.media.spans import spans
from stillspeak.media.track import Tracker, pose, tracks_of


def moved(portrait: np.ndarray, frames: int, step_px: float = 1.5) -> list[np.ndarray]:
    """A portrait that drifts to the right over a grey wall."""
    wall = np.full((360, 480, 3), 90, np.uint8)
    shown = []
    for number in range(frames):
        matrix = np.array([[0.6, 0, 20 + step_px * number], [0, 0.6, 10 + 0.3 * number]])
        shown.append(cv2.warpAffine(portrait, matrix, (480, 360), wall.copy(), borderMode=cv2.BORDER_TRANSPARENT))
    return shown


def test_a_face_that_moves_is_one_track_whose_points_move_with_it(astronaut: np.ndarray):
    tracks, cuts = tracks_of(moved(astronaut, 30), 25)
    assert cuts == [0]
    face = max(tracks, key=lambda track: len(track.points))
    assert (face.first, face.end) == (0, 30)
    points = face.smoothed(25)
    assert np.allclose(np.diff(points[4:-4].mean(axis=1), axis=0), (1.5, 0.3), atol=0.25)
    found = find_faces(moved(astronaut, 30)[20])[0].points
    assert np.abs(points[20] - found).max() < 4


def test_a_cut_ends_every_track_and_the_next_shot_has_its_own(astronaut: np.ndarray):
    other = cv2.flip(astronaut, 1) // 2 + 100
    tracks, cuts = tracks_of([*moved(astronaut, 12), *moved(other, 12)], 25)
    assert cuts == [0, 12]
    assert {(track.first, track.end) for track in tracks if len(track.points) > 8} == {(0, 12), (12, 24)}
    assert not any(track.first < 12 < track.end for track in tracks)


def test_a_face_that_goes_is_lost_at_the_last_frame_that_showed_it_and_found_again_when_it_comes(astronaut: np.ndarray):
    here, gone = moved(astronaut, 40, 0.0), np.full((360, 480, 3), 120, np.uint8)
    for number in range(12, 26):  # the head sinks behind a desk of the wall's colour: no cut
        here[number][40 : 60 + 20 * min(number - 10, 9)] = gone[40 : 60 + 20 * min(number - 10, 9)]
    tracks = [track for track in tracks_of(here, 25)[0] if len(track.points) > 3]
    first = min(tracks, key=lambda track: track.first)
    assert (first.first, 10 <= first.end <= 13) == (0, True)
    again = [track for track in tracks if track.first >= 26]
    assert len(again) == 1
    assert again[0].first <= 31
    assert again[0].end == 40


def test_no_face_is_no_track_and_no_error():
    frames = [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(12)]
    assert tracks_of(frames, 25)[0] == []
    assert tracks_of([], 25) == ([], [])


def test_a_live_picture_is_followed_frame_by_frame(astronaut: np.ndarray):
    tracker = Tracker(25)
    for number, frame in enumerate(moved(astronaut, 8)):
        living = tracker.push(frame)
        assert living
        assert all(track.end == number + 1 for track in living)


def test_a_nose_beside_the_middle_of_the_eyes_says_how_far_a_face_is_turned():
    beside, below = CANONICAL.copy(), CANONICAL.copy()
    beside[4] += 0.3 * (CANONICAL[0] - CANONICAL[2])
    below[4] += 0.2 * np.array([3.0, 51.3])
    found = pose(np.stack([CANONICAL, beside, beside * 3 + 7, below]))
    assert np.allclose(found, [(0, 0), (0.3, 0), (0.3, 0), (0, 0.2)], atol=1e-3)


def test_spans_are_the_runs_of_what_is_true():
    assert list(spans([True, False, True, True])) == [(0, 1), (2, 4)]
    assert list(spans([])) == []

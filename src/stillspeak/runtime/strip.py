"""Shows the people of a film: a face of each with the number that ``--face`` counts, and when it is seen. Ours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.spans import spans
from stillspeak.runtime.cast import Cast

Image = NDArray[np.uint8]
_ENLARGED, _BAR_PX, _EDGE_PX = 2, 800, 16
_SEEN, _HIDDEN, _GROUND = (0, 160, 0), (230, 170, 60), (225, 225, 225)


def strip(cast: Cast) -> Image:
    """Draws a row for each person, RGB: a face, its number, and a bar as long as the film.

    The bar is green where the person can be dubbed, orange where the person is seen but cannot be dubbed.
    """
    return np.concatenate([_row(cast, number) for number in range(1, len(cast.people) + 1)])


def described(cast: Cast) -> list[str]:
    """Returns a sentence for each person: how wide the face is, and when it can be dubbed."""
    said = []
    for number, person in enumerate(cast.people, 1):
        stretches = [
            f"{cast.times[one.first + begin]:.1f}-{cast.times[one.first + end - 1] + cast.interval:.1f} s"
            for one in person
            for begin, end in spans(one.shown > 0)
        ]
        wide = round(max(one.width_px for one in person))
        said.append(f"{number}: {wide} pixels wide, {', '.join(stretches) or 'never from the front'}")
    return said


def _row(cast: Cast, number: int) -> Image:
    """Returns the row of one person."""
    person = cast.people[number - 1]
    face = max(person, key=lambda one: one.width_px).stills[0].crop
    size = WIDTH_PX * _ENLARGED, HEIGHT_PX * _ENLARGED
    row = np.full((size[1] + 2 * _EDGE_PX, size[0] + _BAR_PX + 3 * _EDGE_PX, 3), 255, np.uint8)
    row[_EDGE_PX:-_EDGE_PX, _EDGE_PX : _EDGE_PX + size[0]] = cv2.resize(face, size, interpolation=cv2.INTER_CUBIC)
    colours = np.full((len(cast.times), 3), _GROUND, np.uint8)
    for one in person:
        colours[one.first : one.end] = np.where(one.shown[:, None] > 0, _SEEN, _HIDDEN)
    bar = colours[np.linspace(0, len(colours) - 1, _BAR_PX).round().astype(int)]
    left, middle = size[0] + 2 * _EDGE_PX, row.shape[0] // 2
    row[middle : middle + 2 * _EDGE_PX, left : left + _BAR_PX] = bar
    for text, at in (
        (str(number), (left, middle - _EDGE_PX)),
        (f"{cast.times[-1]:.1f} s", (left + _BAR_PX - 90, middle - 8)),
    ):
        large = 1.5 if text == str(number) else 0.6
        cv2.putText(row, text, at, cv2.FONT_HERSHEY_SIMPLEX, large, (0, 0, 0), 2, cv2.LINE_AA)
    return row

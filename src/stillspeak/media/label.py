"""Draws a visible label, which says that the picture is synthetic."""

import cv2
import numpy as np
from numpy.typing import NDArray

LABEL = "AI-generated"
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SHARE = 0.03  # the height of a capital, as a share of the picture's shorter side
_CAPITAL_PX = 21.0  # the height of a capital at OpenCV's scale 1
_LEAST_SCALE = 0.3


def labelled(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a copy of a frame ``(height, width, 3)`` with ``LABEL`` in its lower left corner, white on a dark ground."""
    frame = frame.copy()  # a repeated frame is passed in again
    height, width = frame.shape[:2]
    scale = max(_LEAST_SCALE, _SHARE * min(height, width) / _CAPITAL_PX)
    thick = max(1, round(2 * scale))
    (text_width, text_height), below = cv2.getTextSize(LABEL, _FONT, scale, thick)
    edge = max(1, text_height // 2)
    left, bottom = min(2 * edge, max(0, width - text_width)), height - 2 * edge - below
    ground = frame[
        max(0, bottom - text_height - edge) : bottom + below + edge, max(0, left - edge) : left + text_width + edge
    ]
    ground[:] = ground // 3
    cv2.putText(frame, LABEL, (left, bottom), _FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)
    return frame

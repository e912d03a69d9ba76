"""Moves head and background from one frame of a film to another, and leaves the mouth to the model. Ours.

Optical flow (DIS: Kroeger, Timofte, Dai, Van Gool 2016) finds the motion. Around the mouth it is not believed, because two mouths
that say different sounds do not match; the motion there is that of the face around it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import similarity
from stillspeak.runtime.closing import patch_weight

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
_FLOW_PX = 480  # the longer side at which motion is looked for
_SMOOTHING = 12.0  # ours, in crop pixels: the scale at which a head moves as one
_SMOOTHING_PX = 8.0  # the same without a face, at the size at which motion is looked for
_LEAST_KNOWN = 1e-3


def flow_between(source: Image, target: Image, points: Float | None) -> Float:
    """Returns how far each pixel of a frame moves until another frame, in pixels, float32 ``(height, width, 2)``.

    Args:
        source: RGB, uint8 ``(height, width, 3)``.
        target: another frame of that size.
        points: the five points of the face in ``source``, ``(5, 2)``; None if it shows none.
    """
    height, width = source.shape[:2]
    factor = min(1.0, _FLOW_PX / max(height, width))
    size = max(16, round(width * factor)), max(16, round(height * factor))
    across, down = size[0] / width, size[1] / height
    grey = [
        np.asarray(cv2.cvtColor(cv2.resize(one, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY), np.uint8)
        for one in (source, target)
    ]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)  # type: ignore[call-overload]
    known, reach = np.ones(flow.shape[:2], np.float32), _SMOOTHING_PX
    if points is not None:
        to_crop = similarity(points) @ np.diag([1 / across, 1 / down, 1.0])
        known -= cv2.warpAffine(patch_weight(), to_crop, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        reach = max(1.0, _SMOOTHING / max(_LEAST_KNOWN, float(np.hypot(to_crop[0, 0], to_crop[1, 0]))))
    weights = np.maximum(cv2.GaussianBlur(known, (0, 0), reach), _LEAST_KNOWN)
    flow = cv2.GaussianBlur(flow * known[..., None], (0, 0), reach) / weights[..., None]
    flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(flow / (across, down), np.float32)


def moved(picture: Image, flow: Float, share: float) -> Image:
    """Moves a frame along a share of its flow; 0 leaves it as it is, 1 takes it to the other frame."""
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    step = np.float32(share) * flow
    at = columns - step[..., 0], rows - step[..., 1]
    return np.asarray(cv2.remap(picture, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)

"""Writes a performer's motion, frame by frame, as a table beside the clip, for training on moods, eyes or heads."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillspeak.data.performers.sitter import LARGE, Sitter
from stillspeak.data.performers.variety import MOODS, Variety
from stillspeak.whole import whole


def write_motion(
    path: Path,
    sitter: Sitter,
    variety: Variety,
    said: NDArray[np.float32],
    shut: NDArray[np.float32],
    landmarks: NDArray[np.float32],
) -> None:
    """Writes one row for each frame, and what is the same in all frames as the file's metadata.

    Args:
        path: the Parquet file.
        sitter: the person.
        variety: the variety of the clip.
        said: how much of each expression each frame has, ``(time, expressions)``.
        shut: how far the lids have come down, 0 to 1, ``(time,)``.
        landmarks: the landmarks of the drawn head in crop pixels, ``(time, 68, 2)``.
    """
    columns = dict(zip(sitter.names, said.T, strict=True))
    columns |= dict(zip(("yaw_degrees", "pitch_degrees", "roll_degrees"), variety.turns.T, strict=True))
    columns |= dict(zip(MOODS, variety.moods.T, strict=True)) | {"shut": shut}
    table = pa.table({name: pa.array(values.astype(np.float32)) for name, values in columns.items()})
    table = table.append_column("landmarks", pa.array(list(landmarks.reshape(len(landmarks), -1))))
    facts = {
        "large": LARGE, "photo_pixels_a_large_pixel": sitter.pixels, "look": variety.look._asdict(), "relight": variety.relight,
        "exposure": variety.exposure, "gamma": variety.gamma, "camera": variety.camera._asdict(),
    }  # fmt: skip
    with whole(path) as part:
        pq.write_table(table.replace_schema_metadata({"performer": json.dumps(facts)}), part)

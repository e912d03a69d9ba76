"""Writes a figure, rows of pictures with a caption below, as PNG and PDF files that say that they are synthetic."""

import io
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE, marked_png, software

Frames = NDArray[np.uint8]
_CELL_INCHES = 0.9


@dataclass(frozen=True)
class Drawing:
    """Describes a figure before it is drawn: named rows of pictures, the titles of the columns, and the caption."""

    rows: list[tuple[str, list[Frames]]]
    titles: list[str]
    caption: str


def write_drawing(path: Path, drawing: Drawing) -> None:
    """Draws a figure as PNG and PDF."""
    columns, rows = len(drawing.titles), len(drawing.rows)
    width, tall = _CELL_INCHES * columns + 0.9, _CELL_INCHES * 4 / 3 * rows
    text = fill(drawing.caption, round(width * 16))
    below = 0.16 * (text.count("\n") + 1) + 0.2
    figure = Figure((width, tall + below + 0.25), layout=None)
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    height = tall + below + 0.25
    figure.subplots_adjust(0.9 / width, below / height, 1, 1 - 0.25 / height, 0.03, 0.03)
    for number, (name, pictures) in enumerate(drawing.rows):
        for cell, picture in zip(grid[number], pictures, strict=True):
            cell.imshow(picture, interpolation="nearest")
            cell.set_axis_off()
        grid[number][0].text(-0.08, 0.5, name, transform=grid[number][0].transAxes, ha="right", va="center", fontsize=7)
    for cell, title in zip(grid[0], drawing.titles, strict=True):
        cell.set_title(title, fontsize=7, pad=3)
    figure.text(0.02, below / height - 0.1 / height, text, fontsize=7, va="top")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=150, metadata={"Software": software()})
    path.with_suffix(".png").write_bytes(marked_png(png.getvalue()))
    about = {"Creator": software(), "Keywords": DIGITAL_SOURCE_TYPE, "CreationDate": None}
    figure.savefig(path.with_suffix(".pdf"), dpi=150, metadata=about)

"""Reads the list of ``animate --batch``, a CSV file as spreadsheets and people write it, into one job for each line.

The csv module splits the lines. This module finds the encoding and the separator, accepts the habits of spreadsheets, and says
in one sentence what is wrong with a line. It makes no video.
"""

import codecs
import csv
import hashlib
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stillspeak.errors import MediaError
from stillspeak.jobs import Job
from stillspeak.media.pictures import first_png, writes_over

NEEDED = ("photo", "speech", "output")
OPTIONAL = ("face", "seed", "fps", "crop", "scale", "label", "mouth", "teeth")
_YES, _NO = ("1", "true", "yes", "y", "on"), ("0", "false", "no", "n", "off")
_SEPARATORS = ",;\t|"
_CHOSEN = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)  # the first line in which Excel names the separator
_SPREADSHEETS = {b"PK\x03\x04": "a spreadsheet (.xlsx, .ods)", b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)"}
_WIDE = (  # UTF-32 comes first, for its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_WHOLE = re.compile(r"(\d+)[.,]0+")  # a number as a table of floating-point numbers writes it
_NO_LETTERS = " \t\r\n\xa0\ufeff\u200b"  # characters around a name that nobody sees


@dataclass(frozen=True)
class Row:
    """Holds a line of the list.

    Attributes:
        line: the number of the line, as an editor counts from 1.
        job: the video that the line asks for.
        state: the path of the JSON file in which ``batch.py`` notes how it went.
        model: the digest of the model's files.
    """

    line: int
    job: Job
    state: Path
    model: str = ""

    @property
    def key(self) -> str:
        """Returns a checksum of the job, of its files' sizes and times, and of the model: another one needs another video."""
        stamps = [(path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None for path in self.inputs]
        content = json.dumps([asdict(self.job), stamps, self.model], default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def inputs(self) -> list[Path]:
        """Returns the files that the job reads."""
        return [Path(str(name)) for name in (self.job.photo, self.job.speech, self.job.teeth) if name is not None]

    @property
    def done(self) -> bool:
        """Returns whether the video exists, and was made from the files and settings that the row has."""
        state = self.said()
        return self.output.is_file() and state.get("key") == self.key and not state.get("error")

    @property
    def output(self) -> Path:
        """Returns the file that shows that the video was made; if the output is a pattern of PNG files, the first of them."""
        path = Path(self.job.output)
        return path.with_name(first_png(path.name)) if path.suffix.lower() == ".png" else path

    def said(self) -> dict[str, str]:
        """Reads what ``batch.py`` noted about this row: its key, its error and more; nothing if there is no such note."""
        try:
            state = json.loads(self.state.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}


def read_rows(path: Path, defaults: Job | None = None) -> list[Row]:
    """Reads the rows of a list.

    Args:
        path: the CSV file; the paths in it are relative to its folder.
        defaults: the settings for columns that are missing or empty.

    Raises:
        MediaError: if the list cannot be read, or a line makes no sense; the sentence names the line.
    """
    text = _text(path)
    lines = _lines(path, text)
    header = next(lines, None)
    if header is None:
        raise MediaError(f"{path} is empty; its first line names the columns {', '.join(NEEDED)}.")
    columns = _columns(path, *header)
    rows = [_row(number, columns, cells, path, defaults or Job("", "", "")) for number, cells in lines]
    if not rows:
        raise MediaError(f"{path} has no row.")
    _require_apart(path, rows)
    return rows


def _text(path: Path) -> str:
    """Reads the text of a list in UTF-8, in UTF-16 or UTF-32 with its mark, or in Windows' Western code page (cp1252)."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path} is not a list that can be read: {error.strerror}.") from error
    for mark, kind in _SPREADSHEETS.items():
        if data.startswith(mark):
            raise MediaError(f"{path} is {kind}; save it as CSV and give that.")
    marked = [name for mark, name in _WIDE if data.startswith(mark)][:1]
    unmarked = [name for first, name in ((0, "utf-16-be"), (1, "utf-16-le")) if data[first : first + 1] == b"\0"]
    alphabets = marked or unmarked or ["utf-8-sig", "cp1252"]
    for name in alphabets:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise MediaError(f"{path} is not a list that can be read: it is no text. Save it as CSV in UTF-8.")


def _lines(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the cells of each line that is neither empty nor a remark; the first line is the header."""
    first, *_ = text.splitlines() or [""]
    chosen = _CHOSEN.fullmatch(first.strip(" "))
    separator = chosen[1] if chosen else _separator(text)
    table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    before = 0
    while True:
        try:
            cells = next(table, None)
        except csv.Error as error:
            raise MediaError(f"Line {before + 1} of {path} cannot be read: {error}.") from error
        if cells is None:
            return
        cells = [cell.strip(_NO_LETTERS) for cell in cells]
        if any("\n" in cell or "\r" in cell for cell in cells):
            raise MediaError(
                f'Line {before + 1} of {path} has a name that begins with " and does not end on that line.'
            )
        if any(cells) and not (chosen and before == 0) and not _is_remark(cells, path):
            yield before + 1, cells
        before = table.line_num


def _separator(text: str) -> str:
    """Returns the separator that gives the header the most known names; a comma, if no other gives more."""
    lines = (line for line in text.splitlines() if line.strip(_NO_LETTERS) and not line.startswith("#"))
    header = next(lines, "")

    def known(separator: str) -> int:
        return sum(_name(cell.strip(_NO_LETTERS + "\"'")) in NEEDED + OPTIONAL for cell in header.split(separator))

    return max(_SEPARATORS, key=known)


def _is_remark(cells: Sequence[str], path: Path) -> bool:
    """Returns whether a line is a remark for people: it begins with #, and is not the name of a photo that exists."""
    return cells[0].startswith("#") and not os.path.exists(path.parent / cells[0])  # noqa: PTH110 - as in _place


def _name(cell: str) -> str:
    return cell.strip("\"'").strip(_NO_LETTERS).casefold()


def _columns(path: Path, number: int, header: list[str]) -> list[str]:
    """Returns the names of the columns; a column without a name has an empty one."""
    columns = [_name(cell) for cell in header]
    may = f"The columns are {', '.join(NEEDED)}, and if wanted {', '.join(OPTIONAL)}"
    if not set(columns) & set(NEEDED):
        raise MediaError(f"Line {number} of {path} does not name the columns. {may}.")
    for name, times in Counter(filter(None, columns)).items():
        if name not in NEEDED + OPTIONAL:
            raise MediaError(f"{path} has a column {name[:80]}, which is not known. {may}.")
        if times > 1:
            raise MediaError(f"{path} has the column {name} more than once.")
    if missing := [name for name in NEEDED if name not in columns]:
        raise MediaError(f"{path} has no column {missing[0]}. {may}.")
    return columns


def _row(number: int, columns: list[str], cells: list[str], path: Path, defaults: Job) -> Row:
    given: dict[str, str] = dict.fromkeys(NEEDED + OPTIONAL, "")
    names = columns + [""] * (len(cells) - len(columns))
    for name, cell in zip(names, cells, strict=False):
        if name:
            given[name] = cell
        elif cell:
            raise MediaError(
                f"Line {number} of {path} has a column too many: {cell[:80]}. Quote names with commas in them."
            )
    if empty := [name for name in NEEDED if not given[name]]:
        raise MediaError(f"Line {number} of {path} has no {empty[0]}.")
    try:
        photo, speech, output = (str(path.parent / _place(given[name], path.parent)) for name in NEEDED)
        options: dict[str, Any] = {name: read(given[name]) for name, read in _READERS.items() if given[name]}
        if given["teeth"]:
            options["teeth"] = str(path.parent / _place(given["teeth"], path.parent))
    except ValueError as error:
        raise MediaError(f"Line {number} of {path} makes no sense: {error}.") from error
    if Path(output).name == "-":
        raise MediaError(f"Line {number} of {path} writes to stdout, which a list cannot.")
    job = replace(defaults, photo=photo, speech=speech, output=output, **options)
    name = f"{hashlib.sha256(os.fsencode(job.output)).hexdigest()[:16]}.json"
    return Row(number, job, path.with_name(f".{path.name}.state") / name)


def _place(cell: str, folder: Path) -> str:
    """Returns a path as this system writes it. Raises ValueError if it names a drive of Windows on another system."""
    if os.sep == "\\" or "\\" not in cell or os.path.exists(folder / cell):  # noqa: PTH110 - says no of impossible names too
        return cell
    if _WINDOWS.match(cell):
        raise ValueError(f"{cell[:80]} is a place on Windows, and this system has no such place")
    return cell.replace("\\", "/")


def _number(cell: str) -> str:
    """Returns a number as Python reads it, for spreadsheets write decimal commas, and 2.0 for 2."""
    whole = _WHOLE.fullmatch(cell)
    return whole[1] if whole else cell.replace(",", ".")


def _face(cell: str) -> str:
    return _number(cell).casefold()


def _seed(cell: str) -> int:
    try:
        return int(_number(cell))
    except ValueError:
        raise ValueError(f"the seed {cell[:80]} is no whole number") from None


def _scale(cell: str) -> float:
    return _float(cell, "scale")


def _mouth(cell: str) -> float:
    return _float(cell, "mouth")


def _float(cell: str, name: str) -> float:
    try:
        return float(_number(cell))
    except ValueError:
        raise ValueError(f"the {name} {cell[:80]} is no number") from None


def _yes(cell: str) -> bool:
    answer = _number(cell).casefold()
    if answer not in _YES + _NO:
        raise ValueError(f"{cell[:80]} is neither yes nor no")
    return answer in _YES


_READERS: dict[str, Callable[[str], Any]] = {
    "face": _face,
    "seed": _seed,
    "fps": _number,
    "crop": _yes,
    "scale": _scale,
    "label": _yes,
    "mouth": _mouth,
}


def _require_apart(path: Path, rows: list[Row]) -> None:
    """Refuses a list in which one video would overwrite another, or one of the inputs."""
    lines: dict[Path, int] = {}
    for row in rows:
        first = lines.setdefault(Path(row.job.output).resolve(), row.line)
        if first != row.line:
            raise MediaError(f"{path} writes {row.job.output} more than once: on lines {first} and {row.line}.")
    read = {file.resolve() for row in rows for file in row.inputs}
    beside: dict[Path, list[Path]] = {}
    for file in read:
        beside.setdefault(file.parent, []).append(file)
    for row in rows:
        output = Path(row.job.output).resolve()
        numbered = output.suffix.lower() == ".png"
        if output in read or (
            numbered and any(writes_over(str(output), file) for file in beside.get(output.parent, []))
        ):
            raise MediaError(f"Line {row.line} of {path} writes over {row.job.output}, which is read.")

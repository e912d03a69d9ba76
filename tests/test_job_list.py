"""Lists of videos are read as spreadsheets and people write them; what makes no sense is said with its line."""

import os
from pathlib import Path

import pytest

from stillspeak.errors import MediaError
from stillspeak.job_list import Row, read_rows
from stillspeak.jobs import Job

PLAIN = "photo,speech,output,fps,crop,scale\nAnna grün.jpg,a.wav,a.mp4,25,yes,\nben.jpg,b.wav,b.mp4,,,0.5\n"


def read(folder: Path, content: str | bytes) -> list[Row]:
    (folder / "jobs.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(folder / "jobs.csv")


def names(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(Path(row.job.photo).name, Path(str(row.job.speech)).name, Path(row.job.output).name) for row in rows]


SPREADSHEETS = {
    "UTF-8": PLAIN.encode(),
    "UTF-8 with a mark": PLAIN.encode("utf-8-sig"),
    "UTF-16 of Excel, tabs": PLAIN.replace(",", "\t").encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "UTF-32": PLAIN.encode("utf-32"),
    "cp1252 of Excel": PLAIN.encode("cp1252"),
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace("0.5", "0,5").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "bars": PLAIN.replace(",", "|").encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "CR alone": PLAIN.replace("\n", "\r").encode(),
    "no end of the last line": PLAIN.rstrip().encode(),
    "sep=; first": ("sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n")).encode(),
    "sep= of a tab, with a mark": ("sep=\t\n" + PLAIN.replace(",", "\t")).encode("utf-8-sig"),
    "quoted sep": ('"sep=|"\n' + PLAIN.replace(",", "|")).encode(),
    "all quoted": "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in PLAIN.splitlines()).encode(),
    "spaces after commas": PLAIN.replace(",", " , ").encode(),
    "quotes and spaces": PLAIN.replace("Anna grün.jpg,", '"Anna grün.jpg" , ').encode(),
    "header in another case": PLAIN.replace("photo,speech,output", "Photo, SPEECH ,\u200bOutput\xa0").encode(),
    "empty lines": ("\n\n" + PLAIN.replace("\n", "\n\n") + ",,,,,\n  \n").encode(),
    "separators at the ends": PLAIN.replace("\n", ",,,\n").encode(),
    "lines for people": ("# our films\n" + PLAIN.replace("ben", "#c.jpg,c.wav,c.mp4\nben")).encode(),
    "numbers of a data frame": PLAIN.replace("25", "25.0").replace("yes", "True").encode(),
}


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_a_list_is_read_however_it_was_saved(tmp_path: Path, kind: str):
    rows = read(tmp_path, SPREADSHEETS[kind])
    assert names(rows) == [("Anna grün.jpg", "a.wav", "a.mp4"), ("ben.jpg", "b.wav", "b.mp4")]
    assert [(row.job.fps, row.job.crop, row.job.scale) for row in rows] == [("25", True, None), (None, False, 0.5)]


def test_lines_are_counted_as_an_editor_counts(tmp_path: Path):
    rows = read(tmp_path, "# a list\n\nphoto,speech,output\n\na,b,c.mp4\n# d,e,f.mp4\nd,e,f.mp4\n")
    assert [row.line for row in rows] == [5, 7]


def test_columns_stand_in_any_order_and_defaults_fill_what_is_empty(tmp_path: Path):
    (tmp_path / "jobs.csv").write_text("seed,output,face,speech,photo\n3.0,c.mp4,ALL,b,a\n,d.mp4,2.0,b,a\n")
    rows = read_rows(tmp_path / "jobs.csv", Job("", "", "", seed=9, fps="30", label=True))
    assert names(rows) == [("a", "b", "c.mp4"), ("a", "b", "d.mp4")]
    assert [(row.job.seed, row.job.face, row.job.fps, row.job.label) for row in rows] == [
        (3, "all", "30", True),
        (9, "2", "30", True),
    ]


def test_how_far_a_mouth_opens_is_a_column(tmp_path: Path):
    (tmp_path / "jobs.csv").write_text("photo;speech;output;mouth\na;b;c.mp4;1,2\na;b;d.mp4;\n")
    rows = read_rows(tmp_path / "jobs.csv", Job("", "", "", mouth=0.8))
    assert [row.job.mouth for row in rows] == [1.2, 0.8]


def test_a_second_photo_for_the_teeth_is_a_column_relative_to_the_list(tmp_path: Path):
    rows = read(tmp_path, "photo,speech,output,teeth\na,b,c.mp4,smiles/anna.jpg\na,b,d.mp4,\n")
    assert [row.job.teeth for row in rows] == [str(tmp_path / "smiles" / "anna.jpg"), None]


def test_a_video_is_made_again_when_the_photo_for_its_teeth_has_changed(tmp_path: Path):
    (tmp_path / "smile.jpg").write_bytes(b"one")
    (row,) = read(tmp_path, "photo,speech,output,teeth\na,b,c.mp4,smile.jpg\n")
    before = row.key
    (tmp_path / "smile.jpg").write_bytes(b"another")
    assert row.key != before


def test_a_photo_whose_name_begins_with_a_number_sign_is_a_photo(tmp_path: Path):
    (tmp_path / "#1.jpg").touch()
    assert names(read(tmp_path, "photo,speech,output\n#1.jpg,b,c.mp4\n#2.jpg,b,d.mp4\n")) == [("#1.jpg", "b", "c.mp4")]


@pytest.mark.skipif(os.sep == "\\", reason="on Windows they are paths as they are")
def test_paths_of_windows_lead_to_the_same_folders(tmp_path: Path):
    (tmp_path / "odd\\name.jpg").touch()
    rows = read(tmp_path, "photo,speech,output\nphotos\\anna.jpg,odd\\name.jpg,films\\new\\a.mp4\n")
    assert Path(rows[0].job.photo) == tmp_path / "photos" / "anna.jpg"
    assert Path(str(rows[0].job.speech)) == tmp_path / "odd\\name.jpg"
    assert Path(rows[0].job.output) == tmp_path / "films" / "new" / "a.mp4"
    for place in ("C:\\Users\\anna.jpg", "\\\\server\\share\\anna.jpg", "d:\\a.jpg"):
        with pytest.raises(MediaError, match=r"Line 2 .* is a place on Windows"):
            read(tmp_path, f"photo,speech,output\n{place},b,c.mp4\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; its first line names the columns photo, speech, output"),
        ("\n \n", "is empty"),
        ("a.jpg,b.wav,c.mp4\n", "Line 1 .* does not name the columns. The columns are photo, speech, output, and"),
        ("photo,speech\na,b\n", "has no column output"),
        ("photo,speech,output,size\na,b,c,d\n", "has a column size, which is not known"),
        ("photo,speech,output,photo\na,b,c.mp4,d\n", "has the column photo more than once"),
        ("photo,speech,output\n", "has no row"),
        ("photo,speech,output\na,,c.mp4\n", "Line 2 .* has no speech"),
        ("photo;speech;output\n\na;b\n", "Line 3 .* has no output"),
        ("photo,speech,output,seed\na,b,c.mp4,x\n", "Line 2 .* makes no sense: the seed x is no whole number"),
        ("photo,speech,output,scale\na,b,c.mp4,big\n", "Line 2 .* the scale big is no number"),
        ("photo,speech,output,mouth\na,b,c.mp4,wide\n", "Line 2 .* the mouth wide is no number"),
        ("photo,speech,output,label\na,b,c.mp4,perhaps\n", "Line 2 .* perhaps is neither yes nor no"),
        ("photo,speech,output\na,b,c.mp4\n\na,d,c.mp4\n", "writes .*c.mp4 more than once: on lines 2 and 4"),
        ("photo,speech,output\na,b,c.mp4\na,d,x/../c.mp4\n", "more than once"),
        ("photo,speech,output\na,b,-\n", "Line 2 .* writes to stdout"),
        ("photo,speech,output\na,b,c.mp4\na,c.mp4,d.mp4\n", "Line 2 .* writes over .*c.mp4, which is read"),
        ("photo,speech,output,teeth\na,b,c.png,c.png\n", "Line 2 .* writes over .*c.png, which is read"),
        ("photo,speech,output\na,b,c.mp4,d\n", "Line 2 .* has a column too many: d"),
        ('photo,speech,output\na,b,c.mp4\nd,"e,f.mp4\ng,h,i.mp4\n', 'Line 3 .* begins with " and does not end'),
        ("photo,speech,output\n" + "a" * 200_000 + ",b,c.mp4\n", "Line 2 .* cannot be read: field larger"),
    ],
)
def test_a_list_that_makes_no_sense_is_said_before_anything_is_made(tmp_path: Path, text: str, said: str):
    with pytest.raises(MediaError, match=said):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\0\x06\0", r"spreadsheet \(.xlsx, .ods\); save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"spreadsheet \(.xls\); save it as CSV"),
        (bytes(range(256)), "it is no text"),
        (b"photo,speech,output\na,b\0,c.mp4\n", "it is no text"),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, content: bytes, said: str):
    with pytest.raises(MediaError, match=said):
        read(tmp_path, content)


def test_no_list_is_said(tmp_path: Path):
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(MediaError, match="is not a list that can be read"):
            read_rows(path)

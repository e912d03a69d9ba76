"""The README and the documents, walked as a new user walks them: what is quick runs, all else is read by the real parser.

Every command, in a block of its own or inside a sentence, must be in one of three groups: it runs here, a parser reads it, or
``NOT_OURS`` names its program. A command in none of them fails the test, so nobody can write one that nobody tried. The
same holds for every option that a sentence names.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
from PIL import Image

import stillspeak
from helpers import served
from stillspeak.cli import _parser, main
from stillspeak.config import DISCRIMINATORS
from stillspeak.data.synthetic import draw_corpus
from stillspeak.errors import StillspeakError
from stillspeak.media.audio import read_audio
from stillspeak.presets import PRESETS
from stillspeak.training.former import NAMES
from stillspeak.training.overrides import overridden
from stillspeak.training.runs import flat

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND_LANGUAGES, OTHER_LANGUAGES = {"sh", "python"}, {"nginx"}
ADDRESS = "http://127.0.0.1:8000"  # of the server, where the pages have it
NOT_OURS = {"apt", "head=$(scontrol", "srun", "tensorboard"}  # programs of others, which these tests do not start

PROGRAMS = r"(\$ |stillspeak|python|pip|make|curl|apt)\b"  # a block that begins so holds commands, and says sh

WALKED = [ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "tasks.md"]  # what a new user reads first
OPTIONS_OF_OTHERS = {"--max-restarts", "--preload"}  # torchrun's and gunicorn's

# Commands that run here as they stand in the pages that a new user reads first, with what each leaves in the folder.
RUN = {
    "stillspeak animate face.jpg speech.wav -o talk.mp4": "talk.mp4",
    "stillspeak faces photo.jpg": "faces.png",
    "stillspeak animate photo.jpg --speech 1:anna.wav --speech 2:ben.wav -o talk.mp4": "talk.mp4",
    "stillspeak animate --batch jobs.csv": "one.mp4",
    "stillspeak inspect talk.mp4": "talk.mp4",
    "stillspeak data show prepared": "prepared/sheet.png",
    "stillspeak evaluate --video made.mp4 real.mp4 -o results-video": "results-video/results.md",
}


class Command(NamedTuple):
    """A line of a shell, as words, with where it stands."""

    page: str
    words: list[str]

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def fenced(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def shell_lines(text: str) -> Iterator[list[str]]:
    """The commands of a block, with its variables put in and its comments left out."""
    variables: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if given := re.fullmatch(r"""([A-Z_]+)=(["']?)([^"']*)\2""", line):
            variables[given[1]] = given[3]
        elif words := shlex.split(
            re.sub(r"\$(\w+)", lambda name: variables.get(name[1], name[0]), line), comments=True
        ):
            yield words


def commands() -> list[Command]:
    """All fenced commands, and all that stand inside a sentence or a table."""
    found = []
    for page in PAGES:
        for language, text in fenced(page):
            if language == "sh":
                found += [Command(page.name, words) for words in shell_lines(text)]
        for inline in re.findall(r"`((?:stillspeak|python|make|pip|curl) [\w-][^`]*)`", prose(page)):
            found.append(Command(page.name, shlex.split(inline)))
    return found


COMMANDS = commands()


def read(words: list[str]) -> None:
    """Reads a command of ours as the command line does, with the settings of a training."""
    if words[0] == "train" and "--data" not in words:  # a sentence that names the settings alone
        words = [*words, "--data", "prepared", "--run", "runs/mine"]
    known, rest = _parser().parse_known_args(words)
    if known.verb == "train":
        overridden(known.preset, rest)
    elif known.verb == "ablate":
        overridden("l1", rest)
    else:
        assert not rest, rest


def is_named_alone(command: Command) -> bool:
    """Whether a sentence only names a verb, or shows its form: `stillspeak compare`, `[--port 8000]`, PRESET."""
    words = command.words[1:]
    return len(words) < 3 or any(word.startswith("[") or word.isupper() for word in words)


def options_of(program: Path) -> set[str]:
    return set(re.findall(r'"(--[\w-]+)"', program.read_text()))


def check(command: Command) -> None:
    """Raises unless the command could run: our own are parsed, scripts and targets and extras must be there."""
    words = command.words
    if words[0] in NOT_OURS or words[0].startswith("#"):
        return
    if "stillspeak.cli" in words:  # under torchrun
        words = ["stillspeak", *words[words.index("stillspeak.cli") + 1 :]]
    if words[0] == "stillspeak":
        read(words[1:])
    elif words[0] == "python":
        assert {word for word in words if word.startswith("--")} <= options_of(ROOT / words[1])
    elif words[0] == "curl":
        assert any(word.startswith(ADDRESS) for word in words)  # all of these run, in a test of their own
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] == ["pip", "install"]:
        known = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
        assert {extra for word in words for extra in re.findall(r"\[(\w+)\]", word)} <= known
    else:
        raise AssertionError("no test knows this program")


GONE = {
    "--towards",
    "--share",
    "--part",
    "--train.ema",
    "--train.decay",
    "--train.decay-after-epochs",
}  # the diary tells of them


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_read_by_what_it_is_for(page: Path):
    for language, text in fenced(page):
        assert language in COMMAND_LANGUAGES | OTHER_LANGUAGES or not re.match(PROGRAMS, text), text
    for command in COMMANDS:
        told = page.name == "diary.md" and GONE & {*command.words}  # a command of its day
        if command.page == page.name and not is_named_alone(command) and not told:
            try:
                check(command)
            except (SystemExit, AssertionError, OSError, StillspeakError) as error:
                pytest.fail(f"{page.name}: {command.text}: {error}")


def test_a_command_that_nobody_can_run_is_found():
    for wrong in (
        "stillspeak animate a b --nonsense",
        "stillspeak train default --data d --run r --no.field 1",
        "./x y",
    ):
        with pytest.raises((SystemExit, AssertionError, StillspeakError)):
            check(Command("README.md", shlex.split(wrong)))


def test_every_verb_that_a_page_names_exists():
    for command in COMMANDS:
        if is_named_alone(command) and command.words[0] == "stillspeak":
            with pytest.raises(SystemExit) as end:
                _parser().parse_args([command.words[1], "--help"])
            assert not end.value.code, command


def test_the_options_of_the_table_of_wishes_are_read():
    table = re.search(r"^\| wanted \|.*?\n\n", (ROOT / "docs" / "tasks.md").read_text(), re.MULTILINE | re.DOTALL)
    assert table
    options = re.findall(r"`(-[^`]+)`", table[0])
    assert {"-o talk.webm", "--fps 24", "--face all", "--scale 2"} <= set(options)
    for option in options:
        read(["animate", "face.jpg", "speech.wav", *([] if option == "-" else shlex.split(option))])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A folder with the files that the README names, as small as they can be."""
    folder = tmp_path_factory.mktemp("walk")
    Image.fromarray(astronaut).save(folder / "face.jpg")
    Image.fromarray(np.hstack([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]])).save(folder / "photo.jpg")
    hello = read_audio(ROOT / "examples" / "hello.flac").at(16_000).samples
    for number, name in enumerate(("speech", "anna", "ben")):
        soundfile.write(folder / f"{name}.wav", hello[(number + 1) * 8000 : (number + 2) * 8000], 16_000)
    shutil.copy(folder / "speech.wav", folder / "lecture.wav")
    (folder / "jobs.csv").write_text("photo,speech,output\nface.jpg,speech.wav,one.mp4\n")
    draw_corpus(folder / "prepared", speakers=1, clips=1, seed=0)
    return folder


def test_what_is_quick_runs_as_it_stands_on_the_page(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(place)
    there = {command.text for command in COMMANDS if command.page in {page.name for page in WALKED}}
    for line, left in RUN.items():
        assert line in there, f"no page says any more: {line}"
        if "--video" in line:
            shutil.copy("talk.mp4", "made.mp4")
            shutil.copy("talk.mp4", "real.mp4")
        assert main(shlex.split(line)[1:]) == 0, f"{line}: {capsys.readouterr().err}"
        assert (place / left).stat().st_size, line


@pytest.mark.parametrize("page", WALKED, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(
    page: Path, place: Path, shipped: stillspeak.Animator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(place)
    monkeypatch.setattr(stillspeak, "load", lambda: shipped)
    names: dict[str, Any] = {"stillspeak": stillspeak}
    for language, block in fenced(page):
        if language == "python":
            Path("talk.mp4").unlink(missing_ok=True)
            exec(block, names)
            assert Path("talk.mp4").stat().st_size


def test_the_python_inside_a_sentence_runs(place: Path, shipped: stillspeak.Animator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(place)
    video = shipped("face.jpg", "speech.wav")
    names: dict[str, Any] = {"animator": shipped, "video": video, "chunks": np.array_split(video.audio, 5)}
    inline = [code for code in re.findall(r"`([^`]+)`", prose(ROOT / "docs" / "tasks.md")) if "animator." in code]
    inline = [code for code in inline if "..." not in code]
    assert len(inline) == 3, inline  # for frame in animator.stream(...), animator.rate_hz, animator.push(...)
    loop, rate, push = inline
    exec(f"count = 0\n{loop}:\n    count += 1", names)
    assert names["count"] == len(video.frames)
    assert eval(rate, names) == video.rate_hz
    names |= {"talk": shipped.begin("face.jpg"), "samples": video.audio}
    exec(push, names)
    assert len(names["drawn"].frames) > 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_curl_of_the_pages_is_answered(place: Path):
    lines = [command.words for command in COMMANDS if command.words[0] == "curl"]
    assert len(lines) >= 2
    with served("serve", "--port", "0") as (_, address):
        job = ""
        for words in lines:
            made = [re.sub(r"/animate/\w+\.\.\.$", job, word.replace(ADDRESS, address)) for word in words]
            for _ in range(120):
                answer = subprocess.run(
                    [*made, "-sS", "-w", "%{http_code}"], cwd=place, capture_output=True, text=True, check=False
                )
                assert answer.returncode == 0, answer.stderr
                if not job or answer.stdout.endswith("200"):
                    break
                time.sleep(0.5)  # the video is being made: 202
            assert re.search("20[02]$", answer.stdout), answer.stdout
            if found := re.search(r"^location: (\S+)", answer.stdout, re.MULTILINE | re.IGNORECASE):
                job = found[1]
    assert (place / "talk.mp4").read_bytes()[4:8] == b"ftyp"


def test_every_file_and_heading_that_a_page_links_to_is_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if "://" in target:
                continue
            path, _, heading = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), f"{page.name}: {target}"
            assert not heading or heading in headings(linked), f"{page.name}: {target}"


DROPPED = {f"--{name}" for name in DISCRIMINATORS}  # `--sequence None` leaves one out


def test_every_option_that_a_sentence_names_exists():
    known = OPTIONS_OF_OTHERS | options_of_ours()
    for page in PAGES:
        if page.name == "diary.md":  # it tells of options that have gone
            continue
        for code in re.findall(r"`(--[^`]+)`", prose(page)):
            for word in shlex.split(code):
                if word.startswith("--") and "." in word:
                    assert is_setting(word), f"{page.name}: {word}"
                elif re.match("--[a-z]", word):
                    assert word.partition("=")[0] in known | DROPPED, f"{page.name}: {word}"


def options_of_ours() -> set[str]:
    """The options of all verbs, of the benchmarks, and of the recipes."""
    found, parsers = set[str](), [_parser()]
    while parsers:
        for action in parsers.pop()._actions:
            found |= set(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers += [*action.choices.values()]
    programs = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "recipes").glob("*.py")]
    return found.union(*(options_of(program) for program in programs))


def is_setting(option: str) -> bool:
    """Whether a preset has the field that ``--section.field`` names."""
    name = re.sub(r"^([a-z]+)\d+\.", r"\1.", option[2:].replace("-", "_"))  # picture2 is a second picture stage
    return any(NAMES.get(name, name) in flat(asdict(preset())) for preset in PRESETS.values())


def test_every_path_of_the_repository_that_a_page_names_is_there():
    names = {path.name for folder in ("src", "tests", "benchmarks", "examples", "recipes") for path in files(folder)}
    for page in PAGES:
        if page.name == "diary.md":  # it tells of files that have gone
            continue
        text = page.read_text()
        for path in re.findall(r"`((?:src|tests|benchmarks|examples|docs|recipes)/[\w/.-]+)`", text):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        for path, symbol in re.findall(r"`([\w/]+\.py)(?::(\w+))?`", text):
            places = [ROOT / path, ROOT / "src" / "stillspeak" / path]
            found = next((place for place in places if place.exists()), None)
            assert found or path in names, f"{page.name}: {path}"
            defines = found and re.search(rf"(class|def) {symbol}\b", found.read_text())
            assert not symbol or defines, f"{page.name}: {path}:{symbol}"


def files(folder: str) -> Iterator[Path]:
    """The Python files under a folder of the repository."""
    return (ROOT / folder).rglob("*.py")


def headings(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}

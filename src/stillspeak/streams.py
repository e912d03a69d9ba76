"""Makes stdin, stdout and stderr safe to use under services, cron, windows without a console and old terminals. Ours.

There they may be missing, closed, full, or unable to show a letter. None of that ends the work, except when the output that
the user asked for cannot be written to stdout.
"""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from stillspeak.errors import OutputError

_SPELT = "stillspeak.spelt"
_BYTE = 0xDC00
_BYTES = range(_BYTE + 0x80, _BYTE + 0x100)  # the letters by which Python keeps bytes of a file name that are no text


@contextlib.contextmanager
def steady_streams() -> Iterator[None]:
    """Makes printing safe inside a ``with``: no text that cannot be shown raises an error of its own.

    If one of the descriptors 0, 1 and 2 is closed, it is opened on the null device. Otherwise the next file that is opened
    would get its number, and libraries would write their errors into that file. If ``sys.stdin``, ``stdout`` or ``stderr`` is
    missing, it reads or writes nothing. A letter that stdout cannot show is spelt as its number, and what stderr does not
    take is dropped.
    """
    _hold_descriptors()
    before = sys.stdin, sys.stdout, sys.stderr
    with open(os.devnull, encoding="utf-8") as nothing, open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdin = before[0] or nothing
        sys.stdout = cast(TextIO, _Naming(before[1] or nowhere))
        sys.stderr = cast(TextIO, _Dropping(before[2] or nowhere))
        try:
            with _spelling(before[1]):
                yield
        finally:
            with contextlib.suppress(OSError, OutputError):  # an earlier error was reported already
                sys.stdout.flush()
            sys.stderr.flush()
            sys.stdin, sys.stdout, sys.stderr = before


def has_stdout() -> bool:
    """Returns whether this process was given a stdout."""
    return sys.__stdout__ is not None and hasattr(sys.stdout, "buffer")


def as_text(name: str) -> str:
    """Returns a file's name as text that every table can hold; a byte that is no text becomes %FF, as in web addresses."""
    return "".join(f"%{ord(letter) - _BYTE:02X}" if ord(letter) in _BYTES else letter for letter in name)


def give_up(stream: TextIO) -> None:
    """Points a stream to the null device, so that flushing what it still holds raises no error."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor holds nothing
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Passing:
    """Passes everything on to another text stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Naming(_Passing):
    """Wraps stdout: an error of writing becomes OutputError, except BrokenPipeError, for then the reader has read enough."""

    def write(self, text: str) -> int:
        """Writes a text. Raises OutputError if it cannot be written."""
        with self._named():
            return self._stream.write(text)

    def flush(self) -> None:
        """Writes what is held. Raises OutputError if it cannot be written."""
        with self._named():
            self._stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            give_up(self._stream)
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"stdout cannot be written: {error.strerror}.") from error


class _Dropping(_Passing):
    """Wraps stderr, and drops what it cannot write."""

    def write(self, text: str) -> int:
        """Writes a text, or drops it."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            self.write(text.encode("ascii", "backslashreplace").decode())
        except BlockingIOError:
            pass  # it is full for a moment
        except (OSError, ValueError):
            give_up(self._stream)
        return len(text)

    def flush(self) -> None:
        """Writes what is held, or drops it."""
        try:
            self._stream.flush()
        except BlockingIOError:
            pass
        except (OSError, ValueError):
            give_up(self._stream)


@contextlib.contextmanager
def _spelling(stream: TextIO | None) -> Iterator[None]:
    """Spells the letters that a stream cannot show."""
    if not isinstance(stream, io.TextIOWrapper):
        yield
        return
    before = stream.errors
    codecs.register_error(_SPELT, _spelt)
    stream.reconfigure(errors=_SPELT)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(errors=before)


def _spelt(error: UnicodeError) -> tuple[str | bytes, int]:
    """Keeps the bytes of a file's name, so that the name can be used; replaces any other letter by its number."""
    assert isinstance(error, UnicodeEncodeError)
    letter = ord(error.object[error.start])
    if letter in _BYTES:
        return bytes([letter - _BYTE]), error.start + 1
    return error.object[error.start].encode("ascii", "backslashreplace").decode(), error.start + 1


def _hold_descriptors() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            os.dup2(opened, number)
            if opened != number:
                os.close(opened)
            os.set_inheritable(number, True)

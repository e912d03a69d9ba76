"""Defines the exceptions that a user can meet. Each carries one sentence that says what is wrong and what to do.

The command line prints that sentence and exits with code 2; anything else that escapes is a bug.
"""


class StillspeakError(ValueError):
    """Every error that comes from an input, an option or the system, and not from a bug, derives from this class."""


class MediaError(StillspeakError):
    """A file is missing, unreadable, or not of the kind that was asked for."""


class FaceError(StillspeakError):
    """A picture has no face that can be used."""


class SpeechError(StillspeakError):
    """The sound is too short to animate."""


class OutputError(StillspeakError):
    """The output cannot be written where it was asked for."""


class TemporaryFolderError(StillspeakError):
    """The temporary folder is missing, full, or cannot be written."""


class ModelError(StillspeakError):
    """A model folder is missing, incomplete, or made for another version."""


class DataError(StillspeakError):
    """A corpus or a prepared folder does not hold what was asked of it."""


class RunError(StillspeakError):
    """A training run cannot start or go on."""


class StoppedError(RunError):
    """A training run was interrupted; its checkpoint holds all that it learnt, and it can go on."""


class StillspeakWarning(UserWarning):
    """Something works, but perhaps not as it was meant. The command line prints the sentence on stderr and goes on."""

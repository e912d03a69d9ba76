"""stillspeak makes a video in which the person of one photo says a speech clip.

    animator = stillspeak.load()
    video = animator("face.jpg", "speech.wav")
    video.save("talk.mp4")

The method is "End-to-End Speech-Driven Facial Animation with Temporal GANs" (Vougioukas, Petridis, Pantic 2018).

- ``animate.py`` makes a photo speak: it is the product on one page.
- ``dub.py`` lets a person of a film say something else: it is the same page for films.
- ``talk.py`` holds the state of a talk, and a finished video.
- ``cli.py`` is the command line.
- ``__main__.py`` starts the command line for ``python -m stillspeak``.
- ``jobs.py`` makes one video as the command line asks for it.
- ``dub_jobs.py`` dubs one film as the command line asks for it.
- ``fill.py`` draws the frames that a recording lost: it is the same page for gaps.
- ``fill_jobs.py`` repairs one recording as the command line asks for it.
- ``batch.py`` makes a list of videos.
- ``job_list.py`` reads such a list as people and spreadsheets write it.
- ``config.py`` holds every number of the method.
- ``judge_config.py`` holds every number of the judges and of the phoneme-to-viseme model.
- ``presets.py`` holds the named configurations.
- ``variants.py`` changes one thing of a preset: the rows of the ablation, a narrower model.
- ``errors.py`` holds the exceptions that a user can meet.
- ``whole.py`` writes files that appear whole or not at all.
- ``temporary.py`` opens the temporary folder.
- ``streams.py`` makes stdin, stdout and stderr safe to use.
- ``cores.py`` counts the cores that the process may use.
- ``installation.py`` says how to install an extra.

``media`` turns files into arrays, and ``data`` turns corpora into clips. ``model`` holds the networks, ``training`` trains them,
``runtime`` runs an exported model, ``evaluation`` measures it, and ``experiments`` repeats the paper. ``serving`` holds the
servers, ``verbs`` holds the commands, and ``weights`` holds the shipped models.
"""

import os
from typing import TYPE_CHECKING, Any

from stillspeak.media.provenance import package_version

if TYPE_CHECKING:
    from stillspeak import presets
    from stillspeak.animate import Animator, load
    from stillspeak.errors import (
        DataError,
        FaceError,
        MediaError,
        ModelError,
        OutputError,
        RunError,
        SpeechError,
        StillspeakError,
        StillspeakWarning,
        StoppedError,
        TemporaryFolderError,
    )
    from stillspeak.media.audio import Sound
    from stillspeak.talk import Video

for _name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED"):  # as newer and older ONNX Runtimes call it
    os.environ.setdefault(_name, "1")  # otherwise ONNX Runtime reports every use to its makers

__version__ = package_version()
__all__ = [
    "Animator",
    "DataError",
    "FaceError",
    "MediaError",
    "ModelError",
    "OutputError",
    "RunError",
    "Sound",
    "SpeechError",
    "StillspeakError",
    "StillspeakWarning",
    "StoppedError",
    "TemporaryFolderError",
    "Video",
    "__version__",
    "load",
    "presets",
]

_HOMES = {"Animator": "animate", "Video": "talk", "load": "animate", "Sound": "media.audio"}
_HOMES |= {name: "errors" for name in __all__ if name.endswith(("Error", "Warning"))}


def __getattr__(name: str) -> Any:
    """Loads the heavy parts when they are first asked for, so that ``stillspeak --help`` stays fast."""
    from importlib import import_module

    if name == "presets":
        return import_module("stillspeak.presets")
    if name in _HOMES:
        return getattr(import_module(f"stillspeak.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'stillspeak' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Returns the public names, also those that were not loaded yet."""
    return sorted({*globals(), *__all__})

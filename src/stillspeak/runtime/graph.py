"""Runs an ONNX graph with ONNX Runtime on the CPU, also in a forked process.

A forked process (gunicorn --preload, Celery, multiprocessing) has none of its parent's threads, and would wait for them for
ever. So it opens the graph anew when it first runs it.
"""

import ctypes
import os
import sys
import weakref
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from stillspeak.errors import ModelError


class Graph:
    """Loads a graph and runs it.

    Args:
        path: the file of the graph; it is read again after a fork.
        threads: how many threads share a run. One is best for a small graph, in which several mostly wait for each other.

    Raises:
        ModelError: if the graph cannot be loaded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path, self._threads = path, threads
        session = _open(path, threads)
        self._session: onnxruntime.InferenceSession | None = session
        self.inputs = [entry.name for entry in session.get_inputs()]
        self.outputs = [entry.name for entry in session.get_outputs()]
        _GRAPHS.add(self)

    def run(self, outputs: list[str] | None, inputs: dict[str, NDArray]) -> list[NDArray]:
        """Runs the graph on inputs by name; returns the named outputs, or all. Several threads may call it at once."""
        session = self._session
        if session is None:
            session = self._session = _open(self._path, self._threads)
        return [np.asarray(value) for value in session.run(outputs, inputs)]

    def leave_behind(self) -> None:
        """Drops a session whose threads are in another process, without closing it, because closing waits for the threads."""
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))  # it stays until this process ends
        self._session = None


def _open(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait would take cores
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base of their own
        raise ModelError(f"The graph {path} cannot be loaded: {str(error).splitlines()[0]}") from error


_GRAPHS: "weakref.WeakSet[Graph]" = weakref.WeakSet()
_opencv_threads: list[int] = []


def _before_a_fork() -> None:
    """Ends OpenCV's own threads, for a forked process that sets their number would wait for them, or crash."""
    if "cv2" in sys.modules:
        _opencv_threads.append(sys.modules["cv2"].getNumThreads())
        sys.modules["cv2"].setNumThreads(1)


def _after_a_fork() -> None:
    if _opencv_threads:
        sys.modules["cv2"].setNumThreads(_opencv_threads.pop())


def _in_a_fork() -> None:
    _after_a_fork()
    for graph in list(_GRAPHS):
        graph.leave_behind()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(before=_before_a_fork, after_in_parent=_after_a_fork, after_in_child=_in_a_fork)

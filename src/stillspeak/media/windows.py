"""Cuts sound into overlapping windows, one for each video frame. Paper, section 3.1 and appendix A.1 (Eq. 4).

Window t starts at round(t * rate / fps) minus half the padding, so that it never drifts, whatever the frame rate.
The same object serves a whole clip and a live stream: a whole clip is one ``push`` and one ``flush``.
It does not resample: samples must already be at ``rate_hz``.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class WindowState:
    """Holds how far a stream has come: the samples still needed, and how many samples and windows went by. Copy it freely."""

    buffer: NDArray[np.float32]
    buffer_start: int
    received: int = 0
    emitted: int = 0


@dataclass(frozen=True)
class Windows:
    """Cuts sound into overlapping windows.

    Args:
        rate_hz: samples a second.
        fps: video frames a second; any rational number (``Fraction(30000, 1001)`` for NTSC).
        window_seconds: the length of one window in seconds; 0.16 s in the paper.
    """

    rate_hz: int
    fps: Fraction = Fraction(25)
    window_seconds: float = 0.16  # paper, section 3.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", Fraction(self.fps).limit_denominator(1_000_000))
        if self.rate_hz <= 0 or self.fps <= 0:
            raise ValueError(f"rate and fps must be positive, got {self.rate_hz} Hz and {self.fps} fps.")

    @property
    def length(self) -> int:
        """Returns how many samples a window has."""
        return round(self.window_seconds * self.rate_hz)

    @property
    def half_padding(self) -> int:
        """Returns how many zeros precede the first sample (appendix A.1: half of window - stride on each side)."""
        return (self.length - round(self.rate_hz / self.fps)) // 2

    def start(self, frame: int) -> int:
        """Returns the number of the first sample in the window of ``frame``; it is negative inside the padding."""
        return round(frame * self.rate_hz / self.fps) - self.half_padding

    def count(self, samples: int) -> int:
        """Returns how many video frames so many samples of sound give (3.000 s give 75 at 25 fps)."""
        return int(samples * self.fps / self.rate_hz)

    def begin(self) -> WindowState:
        """Returns the state before the first sample."""
        return WindowState(np.zeros(self.half_padding, np.float32), -self.half_padding)

    def push(self, state: WindowState, samples: NDArray[np.float32]) -> tuple[WindowState, NDArray[np.float32]]:
        """Takes the next samples; returns the new state and the windows that are complete, ``(n, length)``."""
        buffer = np.concatenate([state.buffer, np.asarray(samples, np.float32)])
        return self._emit(state, buffer, state.received + len(samples), last_frame=None)

    def flush(self, state: WindowState) -> tuple[WindowState, NDArray[np.float32]]:
        """Ends the sound: pads it with zeros and returns the windows still owed, ``(n, length)``."""
        last_frame = self.count(state.received)
        missing = self.start(last_frame) + self.length - state.buffer_start - len(state.buffer)
        buffer = np.concatenate([state.buffer, np.zeros(max(0, missing), np.float32)])
        return self._emit(state, buffer, state.received, last_frame)

    def cut(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns all windows of a whole clip, ``(count(len(samples)), length)``."""
        state, first = self.push(self.begin(), samples)
        _, rest = self.flush(state)
        return np.concatenate([first, rest])

    def _emit(
        self, state: WindowState, buffer: NDArray[np.float32], received: int, last_frame: int | None
    ) -> tuple[WindowState, NDArray[np.float32]]:
        # A frame exists only once all of its own sound is there, so a live talk has the same frames as a whole clip.
        frames = self.count(received) if last_frame is None else last_frame
        end = state.buffer_start + len(buffer)
        frame, rows = state.emitted, []
        while frame < frames and self.start(frame) + self.length <= end:
            at = self.start(frame) - state.buffer_start
            rows.append(buffer[at : at + self.length])
            frame += 1
        windows = np.stack(rows) if rows else np.zeros((0, self.length), np.float32)
        keep = min(self.start(frame), end)
        kept = buffer[keep - state.buffer_start :].copy()
        return WindowState(kept, keep, received, frame), windows

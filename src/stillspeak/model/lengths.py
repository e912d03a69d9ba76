"""Joins clips of any lengths to a batch without padding: the frames of all clips lie one after another.

Paper, section 3: the model handles "variable length sequences". Networks that see one frame, and their batch norms, take the
frames as they lie, so that no padding can reach them. A GRU runs forward in time, so it takes clips that are padded at their
ends, and what it says of the padding is left out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class Lengths:
    """Says how many frames each clip of a batch has.

    Args:
        counts: how many frames each clip has, at least 1.
        device: where the frames lie.
        longest_of_all: how many frames the longest clip has, of a batch of which these clips are a part.

    Attributes:
        counts: int64 ``(clips,)``, on the CPU.
        starts: where each clip begins among the frames of all clips, int64 ``(clips,)``, on the CPU.
        frames: how many frames there are in all, here ``n``.
        longest: how many frames the longest of these clips has.
        longest_of_all: the same, of the whole batch.
        clip: the clip of each frame, int64 ``(n,)``, on the device.
        place: the place of each frame in its clip, int64 ``(n,)``, on the device.
    """

    def __init__(self, counts: Sequence[int], device: torch.device | str = "cpu", longest_of_all: int = 0) -> None:
        self.counts = torch.as_tensor(list(counts), dtype=torch.int64)
        self.starts = self.counts.cumsum(0) - self.counts
        self.frames, self.longest = int(self.counts.sum()), int(self.counts.max())
        self.longest_of_all = longest_of_all or self.longest
        clip = torch.arange(len(self.counts)).repeat_interleave(self.counts)
        self.clip, self.place = clip.to(device), (torch.arange(self.frames) - self.starts[clip]).to(device)

    def __len__(self) -> int:
        """Returns the number of clips."""
        return len(self.counts)

    @property
    def alike(self) -> bool:
        """Returns whether all clips have as many frames."""
        return self.frames == self.longest * len(self)

    @property
    def shares(self) -> Tensor:
        """Returns how much each frame counts in a mean in which every clip counts alike: ``(n,)``, together 1."""
        return (1.0 / (len(self) * self.counts)).to(self.clip.device)[self.clip]

    def padded(self, values: Tensor) -> Tensor:
        """Returns ``(n, ...)`` as ``(clips, longest, ...)``, with zeros behind the end of a shorter clip."""
        if self.alike:
            return values.unflatten(0, (len(self), -1))
        whole = values.new_zeros(len(self), self.longest, *values.shape[1:])
        return whole.index_put((self.clip, self.place), values)

    def flat(self, padded: Tensor) -> Tensor:
        """Returns the frames ``(n, ...)`` of ``(clips, longest, ...)``, without what pads them."""
        return padded.flatten(0, 1) if self.alike else padded[self.clip, self.place]

    def last(self, padded: Tensor) -> Tensor:
        """Returns the last frame of each clip, ``(clips, ...)``, of ``(clips, longest, ...)``."""
        return padded[torch.arange(len(self), device=padded.device), (self.counts - 1).to(padded.device)]

    def ends(self, padded: Tensor, shown: "Lengths") -> Tensor:
        """Returns as many frames as ``shown`` says from each clip's end, ``(n of shown, ...)``, of ``(clips, longest, ...)``."""
        if self.alike and shown.alike:
            return padded[:, self.longest - shown.longest :].flatten(0, 1)
        before = (self.counts - shown.counts).to(padded.device)[shown.clip]
        return padded[shown.clip, shown.place + before]

    def own_ends(self, values: Tensor, shown: "Lengths") -> Tensor:
        """Returns the same of ``(n, ...)``, whose clips are not padded."""
        first = (self.starts + self.counts - shown.counts).to(values.device)
        return values if shown.frames == self.frames else values[first[shown.clip] + shown.place]

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean over each clip's frames, ``(clips, ...)``, of ``(n, ...)``."""
        if self.alike:
            return self.padded(values).mean(dim=1)
        sums = values.new_zeros(len(self), *values.shape[1:]).index_add(0, self.clip, values)
        return sums / self.counts.to(values).view(-1, *[1] * (values.dim() - 1))

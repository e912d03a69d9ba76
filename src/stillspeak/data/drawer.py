"""Batches drawn from clips, varied as training wants them: other voices, faces, speeds. Paper, section 4.1.

Every batch is a pure function of a seed, so a resumed run sees what it would have seen.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stillspeak.config import DataConfig
from stillspeak.data.augment import change_speed, change_throat, draw_look, jitter_voice
from stillspeak.data.batches import Batch, Picture, Pieces, batch_of, pieces_of
from stillspeak.data.clips import Clips
from stillspeak.data.epochs import Epochs, Order
from stillspeak.data.expression import expression
from stillspeak.data.landmarks import mouth_opening
from stillspeak.data.mouth_code import MouthCode, Points, mirrored, resting
from stillspeak.data.portraits import Portraits, read_portraits
from stillspeak.data.recombine import coloured, recombine
from stillspeak.data.sentences import Sentences
from stillspeak.errors import DataError

Random = np.random.Generator
_ALL = slice(None)
_AS_TAKEN = 0.7  # ours: share of recombined stills that are the portrait itself
_MOST_SMILE = 0.5  # ours: of the portrait's own mouth's shape
_COLOURED = 0.8  # ours: share of grey portraits that take the colours of the clip's face
_BROWS = 0.5  # ours: spread of the brows that a portrait is given
MOST_THROATS = 0.5  # a spread: children and adults are 0.3 apart
_SLOWEST, _FASTEST = 0.78, 1.3  # ours: speech between these speeds still looks and sounds like speech


class Drawer:
    """Draws varied batches from clips. Every method is a pure function of its random generator.

    ``share`` takes a part of a batch's clips: the parts together are the batch that is drawn without it.
    """

    def __init__(self, clips: Clips, config: DataConfig, code: MouthCode) -> None:
        for name in ("blinks", "openings", "open_stills", "sentences", "as_recorded", "recombined"):
            share = getattr(config, name)
            if not 0 <= share <= 1:
                raise DataError(f"data.{name} is a share, from 0 to 1, not {share:g}.")
        if not 0 <= config.throats <= MOST_THROATS:
            raise DataError(f"data.throats is from 0 to {MOST_THROATS:g}, not {config.throats:g}.")
        if config.blinks + config.openings > 1:
            raise DataError(
                f"data.blinks and data.openings are {config.blinks + config.openings:g} together, more than 1."
            )
        self.clips = clips
        self.config = config
        self.code = code
        self.codes = [code.encode(points) for points in clips.points]
        self.mirror_codes = [code.encode(mirrored(points)) for points in clips.points]
        self.expressions = [expression(points) for points in clips.points]
        self.openings = [mouth_opening(points).clip(min=0) for points in clips.points]
        self.lengths = np.array([record.frames for record in clips.records])
        self.epochs = Epochs(self.lengths.tolist(), config.mirror)
        self.weights = clips.speaker_weights(config.evenness)
        self.portraits = read_portraits(clips.folder) if config.recombined else None
        self.sentences = Sentences(clips.folder, clips.cutter.rate_hz) if config.sentences else None
        self.sentence_codes = [code.of_offsets(moved) for moved in self.sentences.offsets] if self.sentences else []
        self._shortest_sentence = min(map(len, self.sentence_codes), default=math.inf)

    def batch(
        self,
        count: int,
        time: int,
        random: Random,
        share: slice = _ALL,
        order: Order | None = None,
        others: bool = False,
    ) -> Pieces:
        """Draws ``count`` pieces of ``time`` frames with all their sound from the clip's start; whole clips if ``time`` is 0.

        A clip that is shorter is drawn whole. All pieces end as far into their clips as each other, as a share of what a clip
        allows, so that endings are drawn as often as anything else. With ``order``, and clips that are drawn alike, every epoch
        shows each clip of the mirrored set once. With ``others``, another clip's sound is drawn for each piece too.
        """
        turns = None if order is None or self.config.evenness else self.epochs.turns(count, order)
        chosen = self._choose(count, random) if turns is None else turns.clips
        mirrored = [None] * count if turns is None else turns.mirrored.tolist()
        times = np.minimum(self.lengths[chosen], time or self.lengths.max())
        ends = times + (random.random() * (self.lengths[chosen] - times + 1)).astype(np.int64)
        drawn = zip(chosen.tolist(), mirrored, times.tolist(), ends.tolist(), random.spawn(count), strict=True)
        pictures, windows, besides = [], [], []
        for index, turned, shown, end, own in list(drawn)[share]:
            pictures.append(self._picture(index, np.arange(end - shown, end), own, turned))
            windows.append(self._heard_voice(index, end, own))
            if others:
                besides.append(self._other_sound(index, shown, own.spawn(1)[0]))
        lengths = np.stack([ends, times], axis=1)
        longest = np.broadcast_to(lengths.max(axis=0), lengths.shape)
        return pieces_of(pictures, windows, besides, lengths[share], longest[share])

    def pictures(self, count: int, time: int, random: Random, share: slice = _ALL, fine: bool = False) -> Batch:
        """Draws ``count`` clips, ``time`` single frames of each from anywhere; no sound. With ``fine``, larger mouths too."""
        pictures = []
        for index, own in list(zip(self._choose(count, random), random.spawn(count), strict=True))[share]:
            pictures.append(self._picture(index, self._any_frames(index, time, own), own))
        return batch_of(pictures, fine)

    def sounds(
        self, count: int, time: int, random: Random, quiet: int = 0, share: slice = _ALL
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draws sound and mouth codes alone, both at a changed speed: ``(count, time, samples)`` and ``(count, time, code)``.

        The first ``quiet`` are silence or faint noise and a mouth at rest. Where a clip is too short for ``time`` frames at the
        fastest speed, all are shorter.
        """
        windows, codes = [], []
        drawn = list(zip(range(count), self._choose(count, random), random.spawn(count), strict=True))
        shortest = min(self._shortest_sentence, *(self.clips.records[index].frames for _, index, _ in drawn))
        time = min(time, int((shortest - 1) / _FASTEST))
        for number, index, own in drawn[share]:
            if number < quiet:
                noise = own.normal(0, 10 ** own.uniform(-5, -2.5), (time, self.clips.cutter.length))
                windows.append(noise.astype(np.float32))
                codes.append(np.zeros((time, self.codes[index].shape[1]), np.float32))
                continue
            samples, code, strength = self._spoken(index, own)
            frames = len(code)
            speed = float(np.exp(own.uniform(np.log(_SLOWEST), np.log(_FASTEST)) * strength))
            start = int(own.integers(0, frames - int(time * speed)))
            step = self.clips.cutter.rate_hz / float(self.clips.cutter.fps)
            fast = change_speed(samples[round(start * step) :], speed)
            at = start + np.arange(time) * speed + (speed - 1) / 2
            columns = [np.interp(at, np.arange(frames), code[:, k]) for k in range(code.shape[1])]
            windows.append(self.clips.heard(fast, time))
            codes.append(np.stack(columns, axis=1))
        return np.stack(windows), np.stack(codes).astype(np.float32)

    def _any_frames(self, index: int, count: int, random: Random) -> NDArray[np.int64]:
        """Single frames from anywhere in a clip; shares of them are drawn by how far eyes are closed and the mouth is open."""
        frames = self.clips.records[index].frames
        shares = (self.config.blinks, self.expressions[index][:, 0]), (self.config.openings, self.openings[index])
        favoured = [(share, how_far) for share, how_far in shares if share and how_far.any()]
        if not favoured:
            return random.integers(0, frames, count)
        chances = (1 - sum(share for share, _ in favoured)) / frames
        for share, how_far in favoured:
            chances = chances + share * how_far / how_far.sum(dtype=np.float64)
        return random.choice(frames, count, p=chances / chances.sum())

    def _still(self, index: int, random: Random) -> int:
        """Draws a frame of a clip as its still; a share of them by how far their mouth is open, so that it learns to close."""
        openings = self.openings[index]
        if self.config.open_stills and openings.any() and random.random() < self.config.open_stills:
            return int(random.choice(len(openings), p=openings / openings.sum(dtype=np.float64)))
        return int(random.integers(len(openings)))

    def _choose(self, count: int, random: Random) -> NDArray[np.int64]:
        return random.choice(len(self.clips), count, p=self.weights)

    def _mirror(self, random: Random) -> bool:
        return self.config.mirror and random.random() < 0.5  # noqa: PLR2004 - an even coin

    def _heard_voice(self, index: int, frames: int, random: Random) -> NDArray[np.float32]:
        return self.clips.heard(self._voice(index, self._voice_strength(random), random), frames)

    def _other_sound(self, index: int, time: int, random: Random) -> NDArray[np.float32]:
        """Draws ``time`` windows from anywhere in another clip's sound; silence follows where every other clip is shorter."""
        others = np.flatnonzero(np.arange(len(self.clips)) != index)
        if not len(others):
            raise DataError("sequence.wrong_sound needs two clips at least.")
        longer = others[self.lengths[others] >= time]
        other = int(random.choice(longer if len(longer) else others))
        end = int(random.integers(time, max(time, self.lengths[other]) + 1))
        return self._heard_voice(other, end, random)[end - time :]

    def _voice_strength(self, random: Random) -> float:
        """Returns how much a voice is changed: as the config says, or for a share of them not at all."""
        return 0.0 if random.random() < self.config.as_recorded else self.config.voice_jitter

    def _voice(self, index: int, strength: float, random: Random) -> NDArray[np.float32]:
        return self._varied(self.clips.sounds(index), strength, random)

    def _varied(self, sounds: Sequence[NDArray[np.float32]], strength: float, random: Random) -> NDArray[np.float32]:
        """One of a sound and its copies, changed; the sound itself at strength 0, but for its throat."""
        rate_hz = self.clips.cutter.rate_hz
        samples = sounds[int(random.integers(len(sounds)))] if strength else sounds[0]
        if self.config.throats:
            samples = change_throat(samples, rate_hz, float(np.exp(random.normal(0, self.config.throats))))
        return jitter_voice(samples, rate_hz, strength, random) if strength else samples

    def _spoken(self, index: int, random: Random) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """Returns a clip's sound, or for a share of them a sentence read aloud; its mouth codes; how much it is changed."""
        if self.sentences and random.random() < self.config.sentences:
            number, strength = int(random.integers(len(self.sentences))), self.config.voice_jitter
            return self._varied(self.sentences.sounds(number), strength, random), self.sentence_codes[number], strength
        strength = self._voice_strength(random)
        samples = self._voice(index, strength, random)
        return samples, self.mirror_codes[index] if self._mirror(random) else self.codes[index], strength

    def _picture(self, index: int, chosen: NDArray[np.int64], random: Random, turned: bool | None = None) -> Picture:
        """Still and frames, varied alike; mirrored as ``turned`` says, or by chance."""
        video, points = self.clips.frames(index), self.clips.points[index]
        still = self._still(index, random) if self.config.any_still else 0
        shown = np.concatenate([[still], chosen])
        frames, points, code = video[shown], points[shown], self.codes[index][chosen]
        large, expressions = self.clips.large(index), self.expressions[index][shown]
        large = None if large is None else large[shown]
        turned = self._mirror(random) if turned is None else turned
        if turned:
            frames, points, code = frames[:, :, ::-1], mirrored(points), self.mirror_codes[index][chosen]
            large = None if large is None else large[:, :, ::-1]
        if self.portraits and random.random() < self.config.recombined:
            rest = resting(self.clips.points[index])
            rest = mirrored(rest[None])[0] if turned else rest
            if self.config.blinks:
                expressions[1:, 1] += random.normal(0, _BROWS)
            else:
                expressions[:] = 0.0
            frames, points = self._recombined(self.portraits, frames, points, rest, expressions, random)
            large = None
        if self.config.face_jitter:
            look = draw_look(self.config.face_jitter, random)
            frames, points = look.of(frames), look.moved(points)
            large = None if large is None else look.of(large)
        return Picture(frames, points, code, expressions[1:] - expressions[:1], large)

    def _recombined(
        self,
        portraits: Portraits,
        frames: NDArray[np.uint8],
        points: NDArray[np.float32],
        rest: Points,
        expressions: NDArray[np.float32],
        random: Random,
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Still and frames of another person; the still is mostly the portrait as it was taken, smile and all.

        ``expressions`` become those of what is shown.
        """
        number = random.integers(len(portraits.crops))
        portrait, own = portraits.crops[number], portraits.points[number]
        if self._mirror(random):
            portrait, own = np.ascontiguousarray(portrait[:, ::-1]), mirrored(own[None])[0]
        if random.random() < _COLOURED:
            calm = int(mouth_opening(points).argmin())
            portrait = coloured(portrait, own, frames[calm], points[calm])
        smile = random.uniform(0, _MOST_SMILE)
        moved, there = recombine(portrait, own, frames, points, rest, smile, expressions)
        if random.random() < _AS_TAKEN:
            moved[0], there[0], expressions[0] = portrait, own, 0.0
        return moved, there

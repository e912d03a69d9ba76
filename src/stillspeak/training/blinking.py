"""Sets the Noise Generator so that its noise blinks, and moves the brows, as people do. Ours.

The paper leaves blinks to the Sequence Discriminator. Here four units of the Noise Generator's GRU get weights by hand, and no
training changes them. The exported graph is the same GRU as ever. Each unit h is updated once a frame:

    reset  r = sigmoid(heard . noise + own . h + bias)
    keep   k = sigmoid(heard . noise + own . h + bias)
    new    n = tanh(heard . noise + bias + r * (own . h + own_bias))
    h = (1 - k) * n + k * h

The four units, and what makes them change:

    noise[5] --> SEEN: 1 in a frame whose noise is as high as it is in so few frames, else -1; it remembers nothing (k = 0)
    SEEN ------> CLOSING: while SEEN is 1, the eyes shut at once (k = 0); while it is -1, they open by a fifth a frame (k = 0.8)
    noise[1] --> DRIFT: a slow average of the noise (k = 0.9)
    DRIFT -----> BROWS: a slow average of DRIFT (k = 0.9)

CLOSING and BROWS are the first two elements of z_n, which the decoder was taught to draw. Training a GRU to blink at rare
extremes of its noise was tried: the edge between enough and not enough stays soft, and most blinks are halves.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor, nn

from stillspeak.errors import ModelError
from stillspeak.model.generator import Generator
from stillspeak.training.warm_start import EXPRESSION_SCALE

_CLOSING, _BROWS, _SEEN, _DRIFT = range(4)  # units
_UNITS = 6  # that the GRU has at least: those four, and inputs up to number 5
_BROWS_HEAR = 1  # number of an input
_LIDS_HEAR = 5  # number of an input; from seed 0, everybody's first, the eyes blink after 1.5, 6.6 and 11.4 s
_MOST_BLINKS = 0.1  # of a frame's chance to begin one
_NEVER = 1e-12  # the chance that stands for no blink at all
_SURE = 20.0  # logit of a gate that is open or shut
_SHARP = 100.0  # slope at the edge between an extreme and none
_SHUT = 1.25  # closing of eyes that are shut, for two frames
_OPENING = 0.8  # of the closing stays from frame to frame: open by half after five, the median of 1,520 training blinks
_SLOW = 0.9  # of the brows' height stays from frame to frame
_BROWS_SPREAD = 0.2  # how far the brows go: standard deviation of their height
_LOUDER = 4.0  # gain between the two averages, which keeps both where tanh is straight


class _Gru(NamedTuple):
    """Holds the weights of a GRU, and the rows that each gate has in them: row ``keep[unit]`` is of that unit's gate."""

    heard: Tensor
    own: Tensor
    bias: Tensor
    own_bias: Tensor
    reset: NDArray[np.int64]
    keep: NDArray[np.int64]
    new: NDArray[np.int64]


def let_blink(generator: Generator, blinks_per_s: float) -> None:
    """Sets four units of the Noise Generator so that its first elements blink and drift as eyes and brows do.

    Args:
        generator: the generator; the weights of its Noise Generator change in place.
        blinks_per_s: how often the eyes blink, in blinks a second.

    Raises:
        ModelError: if the noise has no memory or is too small, or there cannot be so many blinks.
    """
    memory, sigma = generator.noise.memory, generator.config.noise_variance**0.5
    if not isinstance(memory, nn.GRU) or memory.hidden_size < _UNITS:
        raise ModelError(f"Blinks need noise with memory, of size {_UNITS} at least; or set labels.expression False.")
    chance = _chance_of_blink(blinks_per_s, generator.config.context.fps)
    gru = _gru(memory)
    with torch.no_grad():
        _see_extremes(gru, sigma, chance)
        _shut_and_open(gru)
        _drift(gru, sigma)


def _gru(memory: nn.GRU) -> _Gru:
    """Returns the weights of a GRU, after those of the four units became 0, and their reset gates open."""
    size, weights = memory.hidden_size, dict(memory.named_parameters())
    heard, own, bias, own_bias = (weights[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    reset, keep, new = (part * size + np.arange(size) for part in range(3))
    with torch.no_grad():
        for unit in (_CLOSING, _BROWS, _SEEN, _DRIFT):
            for tensor in (heard, own, bias, own_bias):
                tensor[[reset[unit], keep[unit], new[unit]]] = 0.0
            bias[reset[unit]] = _SURE
    return _Gru(heard, own, bias, own_bias, reset, keep, new)


def _see_extremes(gru: _Gru, sigma: float, chance: float) -> None:
    """Makes SEEN 1 in a frame whose input is beyond the extreme that it passes with this chance, and -1 in all others."""
    extreme = float(norm.isf(max(chance, _NEVER)))
    gru.heard[gru.new[_SEEN], _LIDS_HEAR] = _SHARP / sigma
    gru.bias[gru.new[_SEEN]] = -_SHARP * extreme
    gru.bias[gru.keep[_SEEN]] = -_SURE


def _shut_and_open(gru: _Gru) -> None:
    """Makes CLOSING shut one frame after SEEN was 1, and fall by a fifth a frame after it was -1."""
    shut = np.arctanh(EXPRESSION_SCALE * _SHUT)
    gru.own[gru.reset[_CLOSING], _SEEN] = _SURE
    gru.bias[gru.reset[_CLOSING]] = -_SURE / 2  # the first state, 0, is no blink
    gru.own_bias[gru.new[_CLOSING]] = np.arctanh(shut)
    gru.own[gru.keep[_CLOSING], _SEEN] = -(_SURE + _logit(_OPENING)) / 2
    gru.bias[gru.keep[_CLOSING]] = (_logit(_OPENING) - _SURE) / 2


def _drift(gru: _Gru, sigma: float) -> None:
    """Makes DRIFT average an input, and BROWS average DRIFT."""
    white = ((1 + _SLOW**2) / (1 - _SLOW**2) ** 3) ** 0.5  # spread of white noise behind two filters y = slow * y + x
    loudness = _BROWS_SPREAD * EXPRESSION_SCALE / (sigma * white * (1 - _SLOW) ** 2) / _LOUDER
    gru.heard[gru.new[_DRIFT], _BROWS_HEAR] = loudness
    gru.own[gru.new[_BROWS], _DRIFT] = _LOUDER
    gru.bias[gru.keep[[_DRIFT, _BROWS]]] = _logit(_SLOW)


def _chance_of_blink(blinks_per_s: float, fps: int) -> float:
    """Returns the chance that a blink begins in a frame. Raises ModelError if there cannot be so many."""
    chance = blinks_per_s / fps
    if not 0 <= chance < _MOST_BLINKS:
        raise ModelError(f"labels.blinks_per_s must be from 0 to {_MOST_BLINKS * fps:g}, not {blinks_per_s:g}.")
    return chance


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))

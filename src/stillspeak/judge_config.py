"""Holds every number of the judges and of the phoneme-to-viseme model, in frozen dataclasses like those of ``config.py``."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LipReaderConfig:
    """Sizes the judge of words: spatio-temporal convolutions, recurrence, CTC, after LipNet (Assael et al. 2016). Sizes ours."""

    kind: Literal["lipreader"] = "lipreader"
    channels: tuple[int, ...] = (24, 48, 64)
    hidden: int = 128  # of each direction
    dropout: float = 0.3


@dataclass(frozen=True)
class SyncConfig:
    """Sizes the judge of timing: one embedding of 0.2 s of mouth, one of 0.2 s of sound, after SyncNet (Chung, Zisserman 2016).

    Sizes ours.
    """

    kind: Literal["sync"] = "sync"
    channels: tuple[int, ...] = (32, 64, 128, 128)
    sound_channels: int = 128
    size: int = 128
    temperature: float = 0.07


@dataclass(frozen=True)
class TeacherConfig:
    """Sizes the model from phonemes to the mouth code, and says how it is trained; all ours."""

    inputs: int = 64
    hidden: int = 96  # of each direction
    layers: int = 2
    dropout: float = 0.2
    steps: int = 800
    clips: int = 24
    learning_rate: float = 2e-3
    evenness: float = 0.65  # as ``DataConfig.evenness``
    code: int = 12  # as ``LabelsConfig.code``


@dataclass(frozen=True)
class JudgeTrainConfig:
    """Says how a judge is trained; all ours."""

    steps: int = 4000
    hours: float = 0.0  # as ``TrainConfig.hours``
    clips: int = 12  # a batch, over all processes
    accumulate: int = 1  # as ``TrainConfig.accumulate``
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    evenness: float = 0.5  # as ``DataConfig.evenness``
    seed: int = 0
    log_every: int = 20
    check_every: int = 500  # steps between figures on clips that are never trained on
    threads: int = 0
    device: str = "auto"  # as ``TrainConfig.device``
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # as ``TrainConfig.precision``
    back_off: int = 0  # as ``TrainConfig.back_off``


@dataclass(frozen=True)
class JudgeConfig:
    """Holds a preset of a judge."""

    name: str
    network: LipReaderConfig | SyncConfig
    train: JudgeTrainConfig = field(default_factory=JudgeTrainConfig)

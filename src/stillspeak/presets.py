"""Presets: functions that return a ``Config``. ``paper`` is the paper's; the others say where and why they differ.

``lipreader`` and ``sync`` are the judges that ``evaluate`` uses.
"""

from collections.abc import Callable
from dataclasses import replace

from stillspeak import variants
from stillspeak.config import (
    AdversarialStage,
    Config,
    ContextConfig,
    DataConfig,
    FrameDiscriminatorConfig,
    GeneratorConfig,
    IdentityConfig,
    LabelsConfig,
    LossConfig,
    MouthDiscriminatorConfig,
    PictureStage,
    SequenceDiscriminatorConfig,
    SoundStage,
    SyncDiscriminatorConfig,
    TrainConfig,
)
from stillspeak.judge_config import JudgeConfig, LipReaderConfig, SyncConfig


def paper() -> Config:
    """Has the paper's sizes and schedule: 50 kHz, 54.0 M generator parameters, every pixel painted."""
    return Config(name="paper", stages=(AdversarialStage(patience_epochs=10),))


def default() -> Config:
    """Makes what ships: 16 kHz heard in mel bands, half the width, a decoder that starts from the photo, a warm start."""
    context = ContextConfig(rate_hz=16_000, bands=48, channels=(128, 128, 192))
    channels = (32, 64, 128, 256, 256)
    small = (32, 64, 128, 192, 256)
    return Config(
        name="default",
        generator=GeneratorConfig(context=context, identity=IdentityConfig(channels=channels), decoder="warping"),
        frame=FrameDiscriminatorConfig(channels=small, frames=4),
        sequence=SequenceDiscriminatorConfig(channels=small, code=128),
        loss=LossConfig(upper=0.2, mouth=4.0, eyes=2.0, interior=15.0),
        labels=LabelsConfig(expression=True),
        data=DataConfig(
            evenness=0.5, face_jitter=1.0, voice_jitter=1.0, throats=0.1, as_recorded=0.6, any_still=True, blinks=0.5
        ),
        stages=(
            SoundStage(),
            PictureStage(),
            AdversarialStage(
                steps=6000,
                clips=6,
                frames=16,
                learns="picture",
                adversaries_from=100,
                taught=0.5,
                calibrate=True,
            ),
        ),
    )


def paper_half() -> Config:
    """Makes the paper's whole method with half the channels in every convolution: 15.1 M generator parameters."""
    return variants.narrower(paper(), 2, "paper_half")


def l1() -> Config:
    """Makes the first row of Table 2 from ``default``: L1 on the whole face and no adversary; ``ablate`` takes other bases."""
    return variants.l1(variants.open_to_adversaries(default()))


def l1_frame() -> Config:
    """Makes the second row of Table 2 from ``default``: the Frame Discriminator is the only adversary."""
    return variants.l1_frame(variants.open_to_adversaries(default()))


def static() -> Config:
    """Makes Table 3's baseline from ``default``: no memory, and no adversary judges sequences. Section 4.4."""
    return variants.static(variants.open_to_adversaries(default()))


def synchronised() -> Config:
    """Makes ``default`` with the third adversary of the authors' follow-up, the Synchronisation Discriminator."""
    full = default()
    third = SyncDiscriminatorConfig((32, 64, 128, 192), (64, 128), 128)
    return replace(full, name="synchronised", sync=third)


def sharp() -> Config:
    """Makes ``default`` with a discriminator of mouths: teeth and dark gaps for a little less correlation. docs/training.md."""
    full = default()
    varied = replace(full, name="sharp", data=replace(full.data, blinks=0.3, openings=0.4))
    return varied.with_stages(PictureStage, mouth=MouthDiscriminatorConfig())


def tiny() -> Config:
    """Serves tests and first tries: trains a step in well under a second on one core; not for watching."""
    context = ContextConfig(rate_hz=8_000, channels=(4, 4, 8, 8, 8, 16), features=16, size=32)
    channels = (4, 8, 8, 16, 16)
    return Config(
        name="tiny",
        generator=GeneratorConfig(
            context=context, identity=IdentityConfig(channels=channels, size=8), decoder="warping"
        ),
        frame=FrameDiscriminatorConfig(channels=channels, frames=2),
        sequence=SequenceDiscriminatorConfig(channels=channels, code=16),
        loss=LossConfig(upper=0.2, mouth=4.0, eyes=2.0, interior=15.0, code=0.05),
        labels=LabelsConfig(code=4, expression=True),
        data=DataConfig(evenness=0.5, face_jitter=1.0, voice_jitter=1.0, any_still=True, blinks=0.5),
        stages=(
            SoundStage(steps=4, clips=2),
            PictureStage(steps=4, clips=2, frames=2),
            AdversarialStage(steps=4, clips=2, frames=6, taught=0.5, calibrate=True),
        ),
        train=TrainConfig(log_every=1, sample_every=4, threads=1, device="cpu", precision="fp32"),
    )


PRESETS: dict[str, Callable[[], Config]] = {
    preset.__name__: preset for preset in (paper, paper_half, default, l1, l1_frame, static, synchronised, sharp, tiny)
}


def lipreader() -> JudgeConfig:
    """Makes the lip reader behind the word error rate."""
    return JudgeConfig(name="lipreader", network=LipReaderConfig())


def sync() -> JudgeConfig:
    """Makes the scorer behind audio-video offset and confidence."""
    return JudgeConfig(name="sync", network=SyncConfig())


JUDGES: dict[str, Callable[[], JudgeConfig]] = {"lipreader": lipreader, "sync": sync}

"""Holds every number of the method, in frozen dataclasses: one per section of the paper. Presets are made in ``presets.py``.

Defaults are the paper's; a comment names the section, or says that the choice is ours. A network takes its own section and
nothing else. What no run may change is a ``ClassVar`` or a property: it stands here with its source, but is no setting.
"""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeVar


@dataclass(frozen=True)
class ContextConfig:
    """Sizes the Context Encoder: section 3.1.2, appendix A.3, figure 10."""

    fps: ClassVar[int] = 25  # section 4; prepared clips have this rate
    window_seconds: ClassVar[float] = 0.16  # section 3.1
    layers: ClassVar[int] = 2  # GRU layers; appendix A.3
    rate_hz: int = 50_000  # figure 10: 8000 samples in 0.16 s
    bands: int = 0  # ours: of a mel filter bank in the first layer's place; 0: that layer is learnt, as the paper's
    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    features: int = 256  # appendix A.3
    size: int = 256  # z_c

    @property
    def kernel_seconds(self) -> float:
        """Length of the first layer's kernel: figure 10 (architecture.md), or what is usual for mel bands."""
        return 0.025 if self.bands else 0.005

    @property
    def stride_seconds(self) -> float:
        """Step of the first layer's kernel: figure 10 (architecture.md), or what is usual for mel bands."""
        return 0.01 if self.bands else 0.001

    @property
    def window(self) -> int:
        """Samples in one window."""
        return round(self.rate_hz * self.window_seconds)


@dataclass(frozen=True)
class IdentityConfig:
    """Sizes the Identity Encoder: section 3.1.1, figure 12. ``channels`` from 64x48 down to 4x3; the skips have these sizes."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    size: int = 50  # z_id


@dataclass(frozen=True)
class MouthDecoderConfig:
    """Adds the mouth's window at three times the resolution, beside a decoder that warps; ours."""

    channels: tuple[int, int] = (48, 32)  # at 24 x 24 and at 48 x 48


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes the generator: section 3.1, figure 3a."""

    noise_size: ClassVar[int] = 10  # z_n; section 3.1.3, appendix A.3.1, figure 11
    noise_variance: ClassVar[float] = 0.6  # of the Gaussian noise that z_n is made of; appendix A.3.1
    context: ContextConfig = field(default_factory=ContextConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    recurrent: bool = True  # False: each frame from its own sound and noise alone, the static baseline of section 4.4
    decoder: Literal["painting", "warping"] = "painting"  # the last stage; warping is ours
    mouth: MouthDecoderConfig | None = None

    @property
    def latent(self) -> int:
        """Returns the size of the latent: z_c, z_n, z_id in this order."""
        return self.context.size + self.noise_size + self.identity.size


@dataclass(frozen=True)
class FrameDiscriminatorConfig:
    """Sizes the Frame Discriminator: section 3.2.1; sizes ours, the mirror of the identity encoder."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    learning_rate: float = 1e-3  # section 3.3
    frames: int = 8  # S(x) of Eq. 1: frames drawn from each clip; ours


@dataclass(frozen=True)
class SequenceDiscriminatorConfig:
    """Sizes the Sequence Discriminator: section 3.2.2, figure 3b; sizes ours beyond the paper's words."""

    layers: ClassVar[int] = 2  # GRU layers
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    code: int = 256  # of a frame; the GRU's state is as large
    learning_rate: float = 5e-5  # section 3.3
    verdicts: Literal["last", "every", "scales"] = "last"  # at the last frame; ours: at every frame, on scales of time
    wrong_sound: bool = False  # ours: a real video with another clip's sound is fake too
    r1: float = 0.0  # ours: weight of the squared gradient of a real video's verdict (Mescheder et al. 2018)


@dataclass(frozen=True)
class SyncDiscriminatorConfig:
    """Sizes the authors' later Synchronisation Discriminator (IJCV 2019; architecture.md): 0.2 s of mouth and of sound."""

    channels: tuple[int, ...] = (64, 128, 256, 512)  # of the mouth's convolutions; ours
    sound_channels: tuple[int, ...] = (32, 64, 128, 256)  # ours
    size: int = 256  # of an embedding; ours
    frames: int = 5  # of a snippet: 0.2 s
    snippets: int = 4  # drawn from each clip; ours
    furthest: int = 8  # frames that a real pair out of sync is apart, at most; ours
    learning_rate: float = 1e-4  # ours


@dataclass(frozen=True)
class MouthDiscriminatorConfig:
    """Ours: judges patches of the mouth while pictures warm up; L1 alone paints the mean of all teeth."""

    channels: tuple[int, ...] = (48, 96, 128)  # patches of 38 x 38 pixels: a whole mouth
    learning_rate: float = 6e-4
    weight: float = 0.008  # of its verdict, beside the L1 of pixels in [-1, 1]
    matching: float = 0.5  # of the L1 between its features of real and made mouths


@dataclass(frozen=True)
class LossConfig:
    """Holds weights of pixels (upper, mouth, eyes, interior) and of losses (reconstruction, code). Eq. 2 and 3."""

    reconstruction: float = 400.0  # lambda, section 3.3; on the mean over the pixels, architecture.md
    upper: float = 0.0  # weight of the upper half beside the lower half's 1; the paper's is 0
    mouth: float = 0.0  # ours: extra weight of the pixels around the mouth
    eyes: float = 0.0  # ours: extra weight of the pixels around eyes and brows
    interior: float = 0.0  # ours: extra weight between the lips, where a photo with a shut mouth has nothing to warp
    code: float = 0.0  # ours: times reconstruction, the weight of the loss that keeps the mouth's shape in z_c


@dataclass(frozen=True)
class LabelsConfig:
    """Says what the first elements of z_c and of z_n stand for, where stages teach them; ours."""

    code: int = 12  # principal components of the lips' and chin's landmarks that z_c starts with
    expression: bool = False  # z_n starts with the eyes' closing and the brows' height; pictures learn to follow
    blinks_per_s: float = 0.4  # of people who speak: 0.28-0.45 (architecture.md, metrics)


@dataclass(frozen=True)
class SoundStage:
    """The Context Encoder learns the mouth's shape from sound alone; ours."""

    kind: Literal["sound"] = "sound"
    steps: int = 3000
    clips: int = 24  # a batch, over all processes
    learning_rate: float = 1e-3
    keep: float = 1.0  # how far its weights go, from where the stage began (0) to where its steps led (1)


@dataclass(frozen=True)
class PictureStage:
    """Pictures learn to follow a given shape of the mouth, and a given expression; ours."""

    kind: Literal["picture"] = "picture"
    steps: int = 4000
    clips: int = 12  # a batch, over all processes
    frames: int = 6  # of each clip
    learning_rate: float = 1e-3
    learns: Literal["picture", "mouth"] = "picture"  # mouth: the mouth decoder alone; crops are drawn as before
    keep: float = 1.0  # how far its weights go, from where the stage began (0) to where its steps led (1)
    mouth: MouthDiscriminatorConfig | None = None  # judges the mouths of crops
    fine_mouth: MouthDiscriminatorConfig | None = None  # judges the mouth decoder's windows, where there is one


@dataclass(frozen=True)
class AdversarialStage:
    """The generator learns from its discriminators and from L1: section 3.3."""

    kind: Literal["adversarial"] = "adversarial"
    steps: int = 200_000
    clips: int = 8  # a batch, over all processes; not given in the paper
    frames: int = 0  # longest piece of a clip; 0: whole clips, of whatever length
    learning_rate: float = 2e-4
    patience_epochs: int = 0  # stop after so many epochs without a gain in validation PSNR or SSIM; 0: never
    learns: Literal["all", "picture", "sound"] = "all"  # ours; picture: all but the Context Encoder; sound: it alone
    adversaries_from: int = 0  # step at which the discriminators join
    taught: float = 0.0  # ours: share of a batch whose z_c carries the real mouth's code and not the one heard
    keep: float = 1.0  # ours: how far its weights go, from where the stage began (0) to where its steps led (1)
    calibrate: bool = False  # ours: after the last step, mouths open and eyes shut as far as real ones do


StageConfig = SoundStage | PictureStage | AdversarialStage
AnyStage = TypeVar("AnyStage", SoundStage, PictureStage, AdversarialStage)


@dataclass(frozen=True)
class DataConfig:
    """Says how clips are drawn and varied. Mirroring: section 4.1; the rest ours."""

    mirror: bool = True
    evenness: float = 0.0  # speakers are drawn with weight clips ** (1 - evenness); 1 is even over speakers
    face_jitter: float = 0.0  # strength of colour and geometry changes, the same over a clip and its still
    voice_jitter: float = 0.0  # strength of speed, pitch, equalisation and noise changes
    throats: float = 0.0  # spread of the vocal tract's length, as a logarithm, that every sound is changed to
    as_recorded: float = (
        0.0  # share of sounds that are heard as they were recorded but for the throat, voice_jitter or not
    )
    sentences: float = 0.0  # share of sounds that are sentences read aloud; needs prepare sentences
    any_still: bool = False  # the still is any frame of the clip and not its first
    open_stills: float = 0.0  # share of stills, with any_still, drawn by how far their mouth is open
    blinks: float = 0.0  # share of single frames drawn by how far the eyes are closed; portraits then blink too
    openings: float = 0.0  # share of single frames drawn by how far the mouth is open
    recombined: float = 0.0  # share of pictures that are a portrait moved by the clip's mouth; needs prepare portraits


@dataclass(frozen=True)
class TrainConfig:
    """Says how a run trains, whatever its stages; ours."""

    hours: float = 0.0  # of training, all stages together, after which a run ends; 0 is no limit
    accumulate: int = 1  # parts a process cuts its share of the batch into, to save memory
    seed: int = 0
    log_every: int = 20
    sample_every: int = 500  # 0: at the end of a stage alone
    threads: int = 0  # of the CPU; 0 leaves PyTorch's own choice
    device: str = "auto"  # cpu, cuda, or auto: CUDA where there is one
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # ours; auto: bf16 on a GPU, and on a CPU with AMX
    compile: bool = False  # torch.compile; needs a C++ compiler, and minutes at the start
    on_trouble: Literal["say", "stop"] = "say"  # a mouth that stands still, a discriminator that is always right
    back_off: int = 0  # times that not-a-number goes back to the last checkpoint at half the learning rate


DISCRIMINATORS = ("frame", "sequence", "sync")  # sections that a preset may do without


@dataclass(frozen=True)
class Config:
    """Holds all sections of a preset."""

    name: str
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    frame: FrameDiscriminatorConfig | None = field(default_factory=FrameDiscriminatorConfig)
    sequence: SequenceDiscriminatorConfig | None = field(default_factory=SequenceDiscriminatorConfig)
    sync: SyncDiscriminatorConfig | None = None
    loss: LossConfig = field(default_factory=LossConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    data: DataConfig = field(default_factory=DataConfig)
    stages: tuple[StageConfig, ...] = (AdversarialStage(),)
    train: TrainConfig = field(default_factory=TrainConfig)

    def stages_of(self, kind: type[AnyStage]) -> list[AnyStage]:
        """Returns the stages of a kind that take steps."""
        return [stage for stage in self.stages if isinstance(stage, kind) and stage.steps]

    def with_stages(self, kind: type[AnyStage], **fields: Any) -> "Config":
        """Returns the config with fields of every stage of a kind changed."""
        changed = (replace(stage, **fields) if isinstance(stage, kind) else stage for stage in self.stages)
        return replace(self, stages=tuple(changed))

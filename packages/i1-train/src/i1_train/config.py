"""The configuration of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from i1_data.config import DataConfig
from i1_hooks import UserError
from i1_model.config import ModelConfig
from i1_model.lora.config import Lora
from i1_model.sampling import SamplingDefaults

from i1_train.checkpoints.checkpointing import Checkpointing
from i1_train.checks import check_regular_expressions, require_at_least
from i1_train.devices.machines import Hardware
from i1_train.guard import Guard
from i1_train.held_out import HeldOut
from i1_train.loggers.base import LoggerConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.objectives import FlowMatching, ObjectiveConfig
from i1_train.optimizers.adam import Adam
from i1_train.optimizers.base import OptimizerConfig
from i1_train.parameters import POSITIONS
from i1_train.schedules import Constant, ScheduleConfig

MAY_CHANGE: Mapping[str, object] = {"may_change_on_resume": True}
"""Metadata of a field that may differ when a run is resumed, together with everything inside it.

Such a field decides how long the run is, where it runs and what is written down. It does not decide what a
step computes (on another mesh, up to rounding), with two exceptions: a schedule that depends on `steps`
follows the new number, and `guard` decides what happens to bad steps.
"""


@dataclass(frozen=True, kw_only=True)
class Average:
    """The float32 exponential moving average of the trained parameters, which is what sampling uses.

    Attributes:
        decay: decay per step, at least 0 and below 1.
        warmup: whether the decay of step n is at most (1 + n) / (10 + n), so that a short run forgets its
            initial parameters.
    """

    decay: float = 0.9999
    warmup: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise UserError(f"average.decay must be at least 0 and below 1, got {self.decay}")


PREVIOUS_STAGE = "@previous"
"""Stands for the workdir of the previous stage, in a recipe that is trained after another one."""


@dataclass(frozen=True, kw_only=True)
class InitFrom:
    """Start from trained weights; the optimizer, the step count and the data start afresh.

    Attributes:
        weights: a model folder, a workdir, a checkpoint, the name of a registered model, or a released
            `.npz`, `.pt` or `.safetensors` file; `"@previous"` for the previous stage.
    """

    weights: str


@dataclass(frozen=True, kw_only=True)
class FromStage:
    """Start from the whole state of another run: parameters, average, optimizer and step count.

    Attributes:
        workdir: workdir of the earlier stage, whose newest checkpoint is used; `"@previous"` for the previous
            stage.
    """

    workdir: str


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training run.

    Attributes:
        recipe: name of the recipe this configuration came from.
        model: the network, its text encoders, its autoencoder and its flow.
        data: the captioned images.
        objective: the training loss.
        optimizer: the gradient transformation.
        schedule: the learning rate at each step.
        batch_size: images per step, over all hosts.
        grad_accumulation: number of equal parts that a batch is processed in, one after another; divides
            `batch_size`.
        steps: number of steps of the run.
        seed: seed of the initial parameters, the data order and every random draw in a step.
        clip_norm: largest global norm of the gradient of the trained parameters; `None` for no clipping.
        frozen: regular expressions; a parameter is not trained if one of them matches its whole released
            name.
        lr_multipliers: (regular expression, factor) pairs; the first that matches a whole released name
            scales that parameter's update, weight decay included.
        average: the average of the parameters that sampling uses.
        start: what the run starts from: `InitFrom` for trained weights, `FromStage` for the state of another
            run, `None` for random parameters.
        lora: low-rank adaptation of the weights in `start`, which stay frozen; off at rank 0.
        guard: what happens when a loss is not finite, or far too high.
        held_out: the loss on images that are not trained on.
        checkpoints: when checkpoints are written, and which of them are kept.
        log_every: steps between progress lines when the output is not a terminal.
        loggers: where metrics are written.
        preview_prompts: prompts that sampling plugins draw at each checkpoint.
        sampling: how the model is sampled by default; stored in its folder.
        hardware: the devices the run uses, and how arrays are sharded over them.
    """

    recipe: str
    model: ModelConfig
    data: DataConfig
    objective: ObjectiveConfig = field(default_factory=FlowMatching)
    optimizer: OptimizerConfig = field(default_factory=Adam)
    schedule: ScheduleConfig = field(default_factory=Constant)
    batch_size: int
    grad_accumulation: int = 1
    steps: int = field(metadata=MAY_CHANGE)
    seed: int = 0
    clip_norm: float | None = 1.0
    frozen: tuple[str, ...] = (POSITIONS,)
    lr_multipliers: tuple[tuple[str, float], ...] = ()
    average: Average = field(default_factory=Average)
    start: InitFrom | FromStage | None = None
    lora: Lora = field(default_factory=Lora)
    guard: Guard = field(default_factory=Guard, metadata=MAY_CHANGE)
    held_out: HeldOut = field(default_factory=HeldOut, metadata=MAY_CHANGE)
    checkpoints: Checkpointing = field(default_factory=Checkpointing, metadata=MAY_CHANGE)
    log_every: int = field(default=10, metadata=MAY_CHANGE)
    loggers: tuple[LoggerConfig, ...] = field(
        default_factory=lambda: (Jsonl(), TensorBoard()), metadata=MAY_CHANGE
    )
    preview_prompts: tuple[str, ...] = field(default=(), metadata=MAY_CHANGE)
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults, metadata=MAY_CHANGE)
    hardware: Hardware = field(default_factory=Hardware, metadata=MAY_CHANGE)

    def __post_init__(self) -> None:
        require_at_least(1, self, ("batch_size", "grad_accumulation", "steps", "log_every"))
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed must be within 0..2**32-1, got {self.seed}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UserError(f"clip_norm must be above 0, or null for no clipping, got {self.clip_norm}")
        check_regular_expressions((*self.frozen, *(pattern for pattern, _ in self.lr_multipliers)))

    @property
    def init_from(self) -> str | None:
        """The weights that the run starts from, `None` when it starts from something else."""
        return self.start.weights if isinstance(self.start, InitFrom) else None

    def check(self) -> None:
        """Compares fields with each other, once all of them are set.

        Raises:
            UserError: for fields that do not fit together.
        """
        if self.batch_size % self.grad_accumulation:
            raise UserError(
                f"grad_accumulation {self.grad_accumulation} does not divide batch_size {self.batch_size}; "
                "choose a divisor"
            )
        if self.data.resolution != self.model.resolution:
            raise UserError(
                f"data.resolution {self.data.resolution} is not model.resolution {self.model.resolution}; "
                "set both"
            )
        unit = self.model.autoencoder.factor * getattr(self.model.backbone, "patch_size", 1)
        for height, width in self.data.buckets:
            if height % unit or width % unit:
                raise UserError(
                    f"data.buckets: {height}x{width} is not made of the model's patches of {unit} pixels; "
                    f"use multiples of {unit}"
                )
        if self.checkpoints.keep_best and not self.held_out.sources:
            raise UserError(
                f"checkpoints.keep_best {self.checkpoints.keep_best} needs a held-out loss to compare: name "
                "images that are not trained on with held_out.sources, or set checkpoints.keep_best to 0"
            )
        self.sampling.check()

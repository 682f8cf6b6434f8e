"""The configuration of a training run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from i1_data.config import DataConfig
from i1_hooks import UserError
from i1_model.config import ModelConfig
from i1_model.lora.config import Lora

from i1_train.devices.machines import AUTO, KNOWN, PARAMETER_RULES, Machine, Rules
from i1_train.guard import Guard
from i1_train.held_out import HeldOut
from i1_train.loggers.base import LoggerConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.objectives import FlowMatching, ObjectiveConfig
from i1_train.optimizers.adam import Adam
from i1_train.optimizers.base import OptimizerConfig
from i1_train.schedules import Constant, ScheduleConfig

POSITIONS = r".*pos_embed"
"""The table of sinusoidal positions, which is never trained; it may be absent."""


@dataclass(frozen=True, kw_only=True)
class SamplingDefaults:
    """How a model trained by a recipe is sampled unless one says otherwise; stored in the model folder.

    Attributes:
        steps: steps of the solver.
        guidance_scale: classifier-free guidance, 1 for none.
        shift: of the time grid, 0 or 1 for none.
        rescale: how much of the guided velocity's standard deviation is put back, 0 to 1.
        solver: the integrator's registered name.
    """

    steps: int = 250
    guidance_scale: float = 12.0
    shift: float = 0.3
    rescale: float = 1.0
    solver: str = "euler"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides a training run.

    Attributes:
        recipe: name of the recipe this came from.
        model: the network, its text encoders, autoencoder and flow.
        data: where captioned images come from.
        objective: the training loss.
        optimizer: the gradient transformation.
        schedule: the learning rate over steps.
        batch_size: images per step, over all hosts.
        grad_accumulation: parts a batch is cut into, one after the other; divides `batch_size`.
        steps: length of the run in steps.
        seed: of the initial parameters, the order of the data and every draw in a step.
        clip_norm: largest global norm of the gradient of the trained parameters; `None` for no clipping.
        frozen: regular expressions; a parameter whose released name one of them matches in full is not
            trained.
        lr_multipliers: (regular expression, factor) pairs; the first that matches a released name in full
            scales that parameter's update, weight decay included.
        ema_decay: decay of the float32 average of the parameters.
        ema_warmup: whether the decay of step n is at most (1 + n) / (10 + n), so that a short run forgets its
            start.
        init_from: what the weights begin from instead of random numbers: a model folder, a workdir, a
            checkpoint, or a released `.npz`, `.pt` or safetensors file. Everything else begins anew.
        lora: low-rank adaptation of the weights in `init_from`, which stay frozen; off at rank 0.
        from_stage: workdir of a run at another resolution or on other data whose newest state this one goes
            on from: parameters, average, optimizer and step count.
        guard: what happens at a loss that is not finite, or far too high.
        held_out: the loss on pictures that are not trained on.
        checkpoint_every: steps between checkpoints; the last step has one too.
        keep_checkpoints: how many of the newest checkpoints stay.
        keep_every: checkpoints at multiples of this stay for good; 0 keeps none for good.
        keep_best: how many checkpoints of the lowest held-out loss stay.
        log_every: steps between progress lines where the output is not a terminal.
        loggers: where metrics go.
        preview_prompts: prompts that sampling plugins draw at each checkpoint.
        sampling: defaults stored with the model.
        machine: which of `machines` this runs on; `"auto"` for the one that fits the devices.
        machines: how the devices of each machine are divided, see `i1_train.devices.machines`.
        sharding: (regular expression, mesh axis or null per dimension) pairs; the first that matches a
            released name in full says how that parameter, its moments and its average are cut.
    """

    recipe: str
    model: ModelConfig
    data: DataConfig
    objective: ObjectiveConfig = field(default_factory=FlowMatching)
    optimizer: OptimizerConfig = field(default_factory=Adam)
    schedule: ScheduleConfig = field(default_factory=Constant)
    batch_size: int
    grad_accumulation: int = 1
    steps: int
    seed: int = 0
    clip_norm: float | None = 1.0
    frozen: tuple[str, ...] = (POSITIONS,)
    lr_multipliers: tuple[tuple[str, float], ...] = ()
    ema_decay: float = 0.9999
    ema_warmup: bool = False
    init_from: str | None = None
    lora: Lora = field(default_factory=Lora)
    from_stage: str | None = None
    guard: Guard = field(default_factory=Guard)
    held_out: HeldOut = field(default_factory=HeldOut)
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    keep_every: int = 0
    keep_best: int = 0
    log_every: int = 10
    loggers: tuple[LoggerConfig, ...] = field(default_factory=lambda: (Jsonl(), TensorBoard()))
    preview_prompts: tuple[str, ...] = ()
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults)
    machine: str = AUTO
    machines: tuple[Machine, ...] = KNOWN
    sharding: Rules = PARAMETER_RULES

    def __post_init__(self) -> None:
        for name in (
            "batch_size",
            "grad_accumulation",
            "steps",
            "checkpoint_every",
            "keep_checkpoints",
            "log_every",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("keep_every", "keep_best"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must be 0 (none) or more, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed must be within 0..2**32-1, got {self.seed}")
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay must be at least 0 and below 1, got {self.ema_decay}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise UserError(f"clip_norm must be above 0, or null for no clipping, got {self.clip_norm}")
        rules = (*self.lr_multipliers, *self.sharding)
        for pattern in (*self.frozen, *(pattern for pattern, _ in rules)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise UserError(f"{pattern!r} is not a regular expression: {error}") from error

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
        if self.init_from is not None and self.from_stage is not None:
            raise UserError(
                f"init_from {self.init_from} and from_stage {self.from_stage} exclude each other: the first "
                "takes weights only, the second the whole state of a run"
            )
        if self.keep_best and not self.held_out.sources:
            raise UserError(
                f"keep_best {self.keep_best} needs a held-out loss to compare: name pictures that are not "
                "trained on with held_out.sources, or set keep_best to 0"
            )


CHANGEABLE = (
    "steps",
    "checkpoint_every",
    "keep_checkpoints",
    "keep_every",
    "keep_best",
    "guard",
    "held_out",
    "log_every",
    "loggers",
    "preview_prompts",
    "sampling",
    "data.num_threads",
    "data.prefetch",
    "machine",
    "machines",
    "sharding",
)
"""Paths that may differ when a run is resumed: they decide how long it goes on, where, and what is written
down.

None changes what a step computes (on another mesh, up to rounding), but that a schedule which depends on
`steps` goes on with the new number, and that `guard` decides about bad steps.
"""

"""The configuration of a training run."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from i1_data.config import DataConfig
from i1_hooks import UserError
from i1_model.config import ModelConfig

from i1_train.loggers.base import LoggerConfig
from i1_train.loggers.jsonl import Jsonl
from i1_train.loggers.tensorboard import TensorBoard
from i1_train.machines import AUTO, KNOWN, PARAMETER_RULES, Machine, Rules
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
    """

    steps: int = 250
    guidance_scale: float = 12.0
    shift: float = 0.3
    rescale: float = 1.0


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
        checkpoint_every: steps between checkpoints; the last step has one too.
        keep_checkpoints: how many of the newest checkpoints stay.
        keep_every: checkpoints at multiples of this stay for good; 0 keeps none for good.
        log_every: steps between progress lines where the output is not a terminal.
        loggers: where metrics go.
        preview_prompts: prompts that sampling plugins draw at each checkpoint.
        sampling: defaults stored with the model.
        machine: which of `machines` this runs on; `"auto"` for the one that fits the devices.
        machines: how the devices of each machine are divided, see `i1_train.machines`.
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
    checkpoint_every: int = 1000
    keep_checkpoints: int = 3
    keep_every: int = 0
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
        if self.keep_every < 0:
            raise UserError(f"keep_every must be 0 (none) or more, got {self.keep_every}")
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


CHANGEABLE = (
    "steps",
    "checkpoint_every",
    "keep_checkpoints",
    "keep_every",
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
`steps` goes on with the new number.
"""

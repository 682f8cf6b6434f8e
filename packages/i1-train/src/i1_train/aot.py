"""The training step of a recipe, compiled ahead of time for TPUs that need not be attached."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import jax
import numpy as np
from i1_hooks import override
from i1_model.compiled.report import compile_report
from i1_model.compiled.topology import topology_devices
from i1_model.ops.chips import find_chip
from i1_model.ops.target import target_platform
from jaxtyping import PyTree

from i1_train.config import TrainConfig
from i1_train.devices.placement import find_machine, make_placement
from i1_train.parts import Parts, build_parts
from i1_train.state import Constants
from i1_train.step import make_step, state_shapes

PROBE = "a"
"""A prompt; the tokens of every prompt have the same shapes."""


def compile_step(config: TrainConfig, topology: str, *, cached: bool = False) -> dict[str, object]:
    """Compiles a recipe's training step for a TPU topology and returns a report; nothing is read or run.

    Args:
        config: the recipe.
        topology: a TPU slice, such as `v5p:4x4x4`.
        cached: whether the batch holds latents and embeddings, so that only backbone and optimizer are
            compiled.

    Raises:
        UserError: for a topology, mesh or batch that do not fit, or when libtpu is not installed.
    """
    devices = topology_devices(topology)
    chip = find_chip(topology.split(":")[0])
    machine = find_machine(config.hardware, devices, config.batch_size, config.grad_accumulation)
    config = override(config, machine.settings)
    parts = build_parts(config, abstract=True)
    key = jax.eval_shape(lambda: jax.random.key(config.seed))
    frozen = cast("Constants", {**parts.constants(config.seed), "key": key})
    placement = make_placement(
        machine,
        devices,
        rules=config.hardware.sharding,
        shapes=parts.network.shapes,
        state=state_shapes(parts),
        constants=frozen,
        batch_size=config.batch_size,
    )
    batch = batch_shapes(config, parts)
    if cached:
        batch = cached_shapes(config)
        none = {"text": (None,) * len(parts.text_encoders), "autoencoder": None}
        frozen = cast("Constants", {**frozen, **none})
        placement = dataclasses.replace(placement, constants={**placement.constants, **none})
    arguments = (state_shapes(parts), jax.tree.map(_shape, frozen), batch)
    with target_platform("tpu", chip.name):
        step: Any = make_step(config, parts, placement)
        traced = step.trace(*arguments)
        report = compile_report(traced, chip, dict(placement.mesh.shape))
    return {
        "recipe": config.recipe,
        "topology": topology,
        "machine": str(machine),
        "num_devices": len(devices),
        "batch_size": config.batch_size,
        "cached": cached,
        **report,
    }


def batch_shapes(config: TrainConfig, parts: Parts) -> dict[str, PyTree]:
    """Returns the shapes of a batch of images and tokens."""
    batch, resolution = config.batch_size, config.model.resolution
    return {
        "image": jax.ShapeDtypeStruct((batch, resolution, resolution, 3), np.uint8),
        "tokens": jax.tree.map(
            lambda row: jax.ShapeDtypeStruct((batch, *row.shape[1:]), row.dtype), parts.tokenize([PROBE])
        ),
    }


def cached_shapes(config: TrainConfig) -> dict[str, PyTree]:
    """Returns the shapes of a batch of cached latents and embeddings."""
    batch = config.batch_size
    return {
        "latents": jax.ShapeDtypeStruct((batch, *config.model.latent_shape), np.float32),
        "tokens": tuple(
            {
                "embedding": jax.ShapeDtypeStruct((batch, encoder.num_tokens, encoder.width), np.float32),
                "mask": jax.ShapeDtypeStruct((batch, encoder.num_tokens), np.bool_),
            }
            for encoder in config.model.text_encoders
        ),
    }


def _shape(leaf: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

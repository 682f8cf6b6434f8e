"""Sampling, compiled for a TPU topology without the hardware."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
from i1_model.checkpoints.stored import with_resolution
from i1_model.compiled.report import compile_report
from i1_model.compiled.topology import topology_devices
from i1_model.config import ModelConfig
from i1_model.lora.merged import open_model
from i1_model.ops.chips import find_chip
from i1_model.ops.target import target_platform
from i1_model.sizes import NUM_HEADS, model_config
from jax.sharding import SingleDeviceSharding

from i1_sample.programs import Programs
from i1_sample.settings import SampleSettings

RESOLUTIONS = (256, 512, 1024)


def find_config(model: str) -> ModelConfig:
    """Returns the configuration of a model by folder or name, or of a published size, such as `i1-3b-1024`.

    Raises:
        UserError: when there is neither.
    """
    sizes = {f"{size.lower()}-{pixels}": (size, pixels) for size in NUM_HEADS for pixels in RESOLUTIONS}
    if model in sizes:
        from i1_model.autoencoders.flux import Flux2Autoencoder
        from i1_model.text_encoders.t5gemma import T5GemmaEncoder

        size, pixels = sizes[model]
        return model_config(
            size,
            text_encoders=(T5GemmaEncoder(),),
            autoencoder=Flux2Autoencoder(),
            resolution=pixels,
            compute_dtype="bfloat16",
        )
    with open_model(model) as stored:
        return stored.config


def compile_sampling(
    model: str,
    topology: str,
    settings: SampleSettings,
    *,
    batch_size: int,
    dtype: Literal["float32", "bfloat16"] | None = None,
    resolution: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> dict[str, Any]:
    """Returns the report of sampling a batch on one chip of a TPU topology; nothing is read or run.

    The report has the keys of `i1 train --compile-only`: memory is that of the largest program, all else the
    sum over the programs as often as a batch runs them. `programs` has each by itself.

    Args:
        model: see `find_config`.
        topology: such as `v5p:2x2x1`.
        settings: number of steps, solver and guidance.
        batch_size: pictures at a time.
        dtype: dtype of activations; by default the model's.
        resolution: of the model in pixels; by default its own.
        height: of the pictures in pixels; by default the resolution.
        width: of the pictures in pixels; by default the resolution.

    Raises:
        UserError: for an unknown model or topology, a size that does not fit, or without libtpu.
    """
    config = with_resolution(find_config(model), resolution)
    config = config if dtype is None else dataclasses.replace(config, compute_dtype=dtype)
    devices = topology_devices(topology)
    chip = find_chip(topology.split(":")[0])
    with target_platform("tpu", chip.name):
        programs = Programs(config, abstract=True)
        size = programs.picture_size(height, width)
        calls = _calls(programs, settings, batch_size, size, SingleDeviceSharding(devices[0]))
        reports = {name: compile_report(traced, chip, {"data": 1}) for name, (traced, _) in calls.items()}
    counts = {name: count for name, (_, count) in calls.items()}

    def total(key: str) -> float | None:
        values = [report[key] for report in reports.values()]
        if any(value is None for value in values):
            return None
        times = dict.fromkeys(counts, 1) if key == "compile_seconds" else counts
        return sum(times[name] * report[key] for name, report in reports.items())

    largest = max(reports.values(), key=lambda report: report["bytes_per_device"]["peak"] or float("inf"))
    keys = ("flops", "bytes_accessed", "estimated_seconds", "compile_seconds")
    return {
        "model": model,
        "topology": topology,
        "batch_size": batch_size,
        "num_inference_steps": settings.num_inference_steps,
        "fits": all(report["fits"] for report in reports.values()),
        "bytes_per_device": largest["bytes_per_device"],
        **{key: total(key) for key in keys},
        "programs": {name: {"calls": counts[name], **report} for name, report in reports.items()},
    }


def _calls(
    programs: Programs,
    settings: SampleSettings,
    batch_size: int,
    size: tuple[int, int],
    place: SingleDeviceSharding,
) -> dict[str, tuple[Any, int]]:
    """Returns every program of a batch, traced, with how often it runs."""
    params = jax.eval_shape(programs.init, jax.random.key(0))
    rows = batch_size
    tokens = jax.tree.map(
        lambda row: jax.ShapeDtypeStruct((rows, *row.shape[1:]), row.dtype), programs.tokenize(["a"])
    )
    guidance = settings.guidance if settings.is_guided else None
    captions = jax.eval_shape(programs.encode, programs.encoder_params, tokens)
    masks = [of_encoder["mask"] for of_encoder in tokens]
    conditioning = jax.eval_shape(
        lambda p, c, m: programs.condition(p, c, m, settings.is_guided, size), params, captions, masks
    )
    indices = jax.ShapeDtypeStruct((rows,), jnp.uint32)
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    x, carry = jax.eval_shape(lambda i: programs.start(jnp.uint32(0), i, settings.solver, size), indices)

    def on_chip(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), tree)

    encode = programs.encode.trace(on_chip(programs.encoder_params), on_chip(tokens))
    condition = programs.condition.trace(
        on_chip(params), on_chip(captions), on_chip(masks), settings.is_guided, size
    )
    step = programs.step.trace(
        on_chip(params),
        *on_chip((conditioning, x, carry, scalar, scalar, scalar)),
        settings.solver,
        guidance,
    )
    decode = programs.decode.trace(on_chip(programs.autoencoder.params), on_chip(x))
    return {
        "encode": (encode, 1),
        "condition": (condition, 1),
        "step": (step, settings.num_inference_steps),
        "decode": (decode, 1),
    }

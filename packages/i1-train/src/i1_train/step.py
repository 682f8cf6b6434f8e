"""The training step: one jitted function from a state and a batch to the next state and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from i1_model.denoiser import draw_dropped
from i1_model.ops.sharding import use_mesh
from i1_model.ops.target import compiler_options
from jax.sharding import Mesh
from jaxtyping import PyTree

from i1_train.config import Average, TrainConfig
from i1_train.devices.placement import Placement
from i1_train.guard import guard_step
from i1_train.monitoring.measures import loss_by_time, norms
from i1_train.objectives import Example
from i1_train.parameters import Params
from i1_train.parts import Parts
from i1_train.state import Batch, Constants, State, StepMetrics, Tokens, TrainStep

Inputs = tuple[Example, list[jax.Array], list[jax.Array], list[jax.Array]]
"""The example, and of every text encoder captions, masks and which captions are dropped."""

PerExample = tuple[jax.Array, jax.Array]
"""Losses and times of the examples, (B,) each."""


def init_state(parts: Parts, key: jax.Array) -> State:
    """Returns the state before the first step; a pure function of the run's key."""
    params = init_params(parts, key)
    trained = {path: params[path] for path in parts.update.trained}
    return {
        "params": params,
        "ema": {path: jnp.copy(value) for path, value in trained.items()},
        "opt": parts.update.init(trained),
        "step": jnp.zeros((), jnp.int32),
        "loss_mean": jnp.zeros((), jnp.float32),
    }


def init_params(parts: Parts, key: jax.Array) -> Params:
    """Returns the initial parameters by path, without those below LoRA; a pure function of the run's key."""
    params = parts.network.init(jax.random.fold_in(key, 2**32 - 1))
    return {path: value for path, value in params.items() if path not in parts.base}


def state_shapes(parts: Parts) -> State:
    """Returns the training state with shapes and dtypes in place of arrays."""
    return jax.eval_shape(lambda: init_state(parts, jax.random.key(0)))


def make_step(config: TrainConfig, parts: Parts, placement: Placement | None = None) -> TrainStep:
    """Returns the jitted step `(state, constants, batch) -> (state, metrics)`; the state is donated.

    Every random draw comes from `fold_in(constants["key"], state["step"])`. Metrics are float32 scalars:
    `loss`, `grad_norm` (of the trained parameters, before clipping), `learning_rate`, those of
    `i1_train.monitoring.measures`, and what the guard finds.

    Args:
        config: the recipe.
        parts: its objects.
        placement: the sharding of all arrays; one device by default.
    """

    def step(state: State, constants: Constants, batch: Batch) -> tuple[State, StepMetrics]:
        key = jax.random.fold_in(constants["key"], state["step"])
        key_latents, key_example, key_drop = jax.random.split(key, 3)
        captions, masks = encode_captions(parts, constants["text"], batch["tokens"])
        latents = encode_images(parts, constants["autoencoder"], batch, key_latents)
        example = config.objective.draw(config.model.flow, key_example, latents)
        drop = draw_dropped(key_drop, config.model.null_caption_prob, latents.shape[0], len(captions))

        trained = {path: state["params"][path] for path in parts.update.trained}
        fixed = {path: value for path, value in state["params"].items() if path not in trained}
        inputs = (example, captions, masks, drop)
        (loss, losses), grads = mean_gradient(config, parts, trained, {**constants["base"], **fixed}, inputs)
        changed, opt, grad_norm = parts.update(grads, state["opt"], trained)
        ema = update_average(state["ema"], changed, decay_at(config.average, state["step"]))
        new_state: State = {
            "params": {**fixed, **changed},
            "ema": ema,
            "opt": opt,
            "step": state["step"] + 1,
            "loss_mean": state["loss_mean"],
        }
        metrics = {
            "loss": loss,
            "grad_norm": grad_norm,
            "learning_rate": jnp.asarray(parts.update.schedule(state["step"]), jnp.float32),
            **loss_by_time(*losses),
            **norms(trained, changed, ema),
        }
        return guard_step(config.guard, state, new_state, metrics)

    if placement is None or _is_local(placement.mesh):
        return jax.jit(step, donate_argnums=0, compiler_options=compiler_options())

    def step_on_mesh(state: State, constants: Constants, batch: Batch) -> tuple[State, StepMetrics]:
        with use_mesh(placement.mesh):
            return step(state, constants, batch)

    return jax.jit(
        step_on_mesh,
        donate_argnums=0,
        in_shardings=(placement.state, placement.constants, placement.batch),
        out_shardings=(placement.state, placement.scalar),
        compiler_options=compiler_options(),
    )


def to_float(images: jax.Array) -> jax.Array:
    """Returns uint8 pixels as float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 255.0 * 2.0 - 1.0


def encode_images(parts: Parts, params: object, batch: Batch, key: jax.Array) -> jax.Array:
    """Returns latents (B, h, w, C): the batch's own, or its encoded images."""
    given: Any = batch
    if "latents" in given:
        return given["latents"]
    return parts.autoencoder.encode(params, to_float(given["image"]), key)


def encode_captions(
    parts: Parts, text_params: Sequence[object], tokens: Sequence[Tokens]
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Returns the embeddings (B, T, W) and masks (B, T) of every text encoder."""
    captions: list[Any] = [
        tokens_of_one["embedding"] if "embedding" in tokens_of_one else encoder.encode(params, tokens_of_one)
        for encoder, params, tokens_of_one in zip(parts.text_encoders, text_params, tokens, strict=True)
    ]
    masks = [tokens_of_one["mask"] for tokens_of_one in tokens]
    return captions, cast("list[jax.Array]", masks)


def mean_gradient(
    config: TrainConfig, parts: Parts, trained: Params, fixed: Params, inputs: Inputs
) -> tuple[tuple[jax.Array, PerExample], Params]:
    """Returns ((mean loss, (losses, times) of the examples), gradient of the mean loss).

    The batch is processed in `grad_accumulation` equal parts, one after another.

    Args:
        config: the recipe.
        parts: its objects.
        trained: trained parameters by path.
        fixed: frozen parameters by path.
        inputs: the example, captions and masks of every text encoder, and which captions are dropped.
    """

    def loss_of(trained: Params, inputs: Inputs) -> tuple[jax.Array, PerExample]:
        example, captions, masks, drop = inputs
        denoiser = parts.network.denoiser({**fixed, **trained})
        denoiser.set_size(*example["noisy"].shape[1:3])
        prediction = denoiser(example["noisy"], example["time"], captions, masks, drop)
        losses = config.objective.losses(config.model.flow, prediction, example)
        return jnp.mean(losses), (jax.lax.stop_gradient(losses), example["time"])

    num_parts = config.grad_accumulation
    if num_parts == 1:
        return jax.value_and_grad(loss_of, has_aux=True)(trained, inputs)

    def accumulate(total: PyTree, part: Inputs) -> tuple[PyTree, PerExample]:
        (loss, losses), grads = jax.value_and_grad(loss_of, has_aux=True)(trained, part)
        return jax.tree.map(jnp.add, total, (loss, grads)), losses

    cut = jax.tree.map(lambda x: x.reshape(num_parts, x.shape[0] // num_parts, *x.shape[1:]), inputs)
    zero = jax.tree.map(jnp.zeros_like, (jnp.zeros((), jnp.float32), trained))
    total, (losses, time) = jax.lax.scan(accumulate, zero, cut)
    loss, grads = jax.tree.map(lambda x: x / num_parts, total)
    return (loss, (losses.reshape(-1), time.reshape(-1))), grads


def update_average(ema: Params, params: Params, decay: jax.Array) -> Params:
    """Returns `(1 - decay) params + decay ema` in float32."""
    return {path: (1 - decay) * params[path].astype(jnp.float32) + decay * old for path, old in ema.items()}


def decay_at(config: Average, step: jax.Array) -> jax.Array:
    """Returns the decay of the average after `step` finished steps, a float32 scalar."""
    decay = jnp.float32(config.decay)
    if not config.warmup:
        return decay
    count = step.astype(jnp.float32) + 1
    return jnp.minimum(decay, (1 + count) / (10 + count))


def _is_local(mesh: Mesh) -> bool:
    """Says whether a mesh is one device of this process, not of a topology that is compiled for."""
    return mesh.size == 1 and mesh.devices.item() in jax.local_devices()

"""Adds LoRA to a denoiser."""

from __future__ import annotations

import zlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser
from i1_model.layers.linear import Linear
from i1_model.layers.low_rank import LowRank
from i1_model.layers.quantized import QuantizedKernel, quantize
from i1_model.lora.config import Lora
from i1_model.lora.layers import find_layers, select

FLOAT32_LAYERS = ("backbone/final_layer/linear",)
"""Paths of maps that are computed in float32 and stay so."""


def init_adapted(config: ModelConfig, lora: Lora, key: Array) -> Denoiser:
    """Returns a fresh denoiser with LoRA; works under `jax.jit` and `jax.eval_shape`.

    A stacked array is adapted as a whole when any of its layers is a target; B of the others stays zero when
    it is not trained (`untargeted`).

    Raises:
        UserError: for a target that matches no layer, or a quantisation without qwix.
    """
    denoiser = init_denoiser(config, key)
    adapted = {layer.path for layer in select(find_layers(config), lora.targets)}
    for path, module in list(nnx.iter_modules(denoiser)):
        if not isinstance(module, Linear):
            continue
        name = "/".join(str(part) for part in path)
        kernel = module.kernel[...]
        if name in adapted:
            own_key = jax.random.fold_in(key, zlib.crc32(name.encode()))
            module.lora = nnx.data(LowRank(kernel.shape, lora.rank, lora.scale, own_key))
        if name in FLOAT32_LAYERS:
            continue
        kernel = kernel.astype(lora.base_dtype)
        if lora.quantization == "none":
            module.kernel = nnx.Param(kernel)
        else:
            module.kernel = nnx.data(QuantizedKernel(kernel, lora.quantization))
    return denoiser


def untargeted(config: ModelConfig, lora: Lora) -> list[str]:
    """Returns the released names of layers that are not targets, though stored with some that are."""
    layers = find_layers(config)
    targets = select(layers, lora.targets)
    shared = {layer.path for layer in targets}
    return [layer.name for layer in layers if layer.path in shared and layer not in targets]


def convert_base(params: dict[str, Any], shapes: dict[str, Any], lora: Lora) -> dict[str, Array]:
    """Returns the frozen arrays of an adapted denoiser from the parameters of the plain one.

    Args:
        params: the parameters of the plain denoiser by path; each is removed as it is converted, to free its
            memory.
        shapes: shape and dtype of every array of the adapted denoiser, by path.
        lora: how it is adapted.
    """
    shrink = jax.jit(lambda kernel: quantize(kernel.astype(lora.base_dtype), lora.quantization))
    base: dict[str, Array] = {}
    for path in list(params):
        value = params.pop(path)
        if path in shapes:
            base[path] = jnp.asarray(value).astype(shapes[path].dtype)
        else:
            array = shrink(value)
            base[f"{path}/codes"], base[f"{path}/scales"] = array.qvalue, array.scale
    return base

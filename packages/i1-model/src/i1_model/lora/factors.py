"""LoRA as arrays by layer, and its sum with the parameters of a model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError
from jaxtyping import PyTree

from i1_model.arrays.trees import flatten
from i1_model.config import ModelConfig
from i1_model.lora.layers import Layer, find_layers


@dataclass(frozen=True, eq=False)
class Factors:
    """The two matrices of a layer, which add `alpha / rank * a @ b` to its kernel.

    Attributes:
        a: (in, rank).
        b: (rank, out).
        alpha: the numerator of the scale.
    """

    a: np.ndarray
    b: np.ndarray
    alpha: float

    @property
    def rank(self) -> int:
        """The number of columns of `a`."""
        return self.a.shape[1]

    @property
    def scale(self) -> float:
        """The factor of the product."""
        return self.alpha / self.rank

    def product(self) -> np.ndarray:
        """Returns the addition to the kernel, (in, out) float32."""
        return np.float32(self.scale) * (self.a.astype(np.float32) @ self.b.astype(np.float32))


Adapter = dict[str, Factors]
"""Factors by the layer's PyTorch name, such as `in_blocks.0.attn.qkv_image`."""


def from_params(
    config: ModelConfig, params: Mapping[str, Any], alpha: float, skip: Iterable[str] = ()
) -> Adapter:
    """Returns the adapter that the parameters of an adapted denoiser hold.

    Args:
        config: the model.
        params: the arrays of the adapted denoiser by path, of which `P/lora/a` and `P/lora/b` are read.
        alpha: the alpha of all layers.
        skip: the released names of layers to leave out.
    """
    left_out, adapter = set(skip), {}
    for layer in find_layers(config):
        if f"{layer.path}/lora/a" not in params or layer.name in left_out:
            continue
        a, b = (params[f"{layer.path}/lora/{part}"] for part in "ab")
        if layer.index is not None:
            a, b = a[layer.index], b[layer.index]
        adapter[layer.torch_name] = Factors(np.asarray(a), np.asarray(b), alpha)
    return adapter


def merge(config: ModelConfig, params: PyTree, adapters: Sequence[tuple[Adapter, float]]) -> Any:
    """Returns the parameters with adapters added to their kernels, `W + sum of strength * scale * a @ b`.

    The sum is in float32 and rounded once to the kernel's dtype; a kernel that no adapter names is the same
    array as before.

    Args:
        config: the model.
        params: the parameters of its denoiser, as `nnx.split` returns them.
        adapters: the adapters, each with its strength.

    Raises:
        UserError: listing the layers that the model lacks or that have other widths; or when a sum is not
            finite.
    """
    layers = {layer.torch_name: layer for layer in find_layers(config)}
    for adapter, _ in adapters:
        check_adapter(layers, adapter)
    deltas: dict[str, np.ndarray] = {}
    flat = flatten(params)
    for name in dict.fromkeys(name for adapter, _ in adapters for name in adapter):
        layer = layers[name]
        delta = deltas.setdefault(layer.path, np.zeros(flat[f"{layer.path}/kernel"].shape, np.float32))
        part = delta if layer.index is None else delta[layer.index]
        for adapter, strength in adapters:
            if name in adapter:
                with np.errstate(over="ignore", invalid="ignore"):  # the sum is checked below
                    part += np.float32(strength) * adapter[name].product()
    for path, delta in deltas.items():
        kernel = flat[f"{path}/kernel"]
        merged = (kernel.astype(jnp.float32) + delta).astype(kernel.dtype)
        if not jnp.isfinite(merged).all():
            strengths = ", ".join(f"{strength:g}" for _, strength in adapters)
            raise UserError(
                f"the LoRA makes numbers of {path}/kernel that are not finite: use a lower strength than "
                f"{strengths}"
            )
        flat[f"{path}/kernel"] = merged
    return jax.tree.unflatten(jax.tree.structure(params), list(flat.values()))


def check_adapter(layers: Mapping[str, Layer], adapter: Adapter) -> None:
    """Makes sure that an adapter fits a model.

    Raises:
        UserError: listing the layers that the model lacks or that have other widths.
    """
    unknown = adapter.keys() - layers.keys()
    if unknown:
        raise unknown_layers(unknown, len(adapter))
    wrong = [
        f"{name} is {factors.a.shape[0]} to {factors.b.shape[1]}, the model's is "
        f"{layers[name].in_width} to {layers[name].out_width}"
        for name, factors in sorted(adapter.items())
        if (factors.a.shape[0], factors.b.shape[1]) != (layers[name].in_width, layers[name].out_width)
    ]
    if wrong:
        raise UserError(
            f"the LoRA is of another model: {len(wrong)} of its {len(adapter)} layers have other widths: "
            f"{list_some(wrong)}"
        )


def unknown_layers(unknown: Collection[str], num_layers: int) -> UserError:
    """Returns the error for layers of a LoRA that a model lacks, of so many layers in all."""
    count = f"{len(unknown)} of its {num_layers} layers are not in this one"
    return UserError(f"the LoRA is of another model: {count}: {list_some(sorted(unknown))}")


def list_some(items: Sequence[str], limit: int = 3) -> str:
    """Returns the first items in a line, and how many more there are."""
    rest = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {rest} more" if rest > 0 else "")

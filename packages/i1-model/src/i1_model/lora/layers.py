"""The layers that LoRA can adapt, under all their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jax
from flax import nnx
from i1_hooks import UserError

from i1_model.arrays.trees import flatten
from i1_model.checkpoints.names import released_names
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser
from i1_model.layers.linear import Linear

_BLOCK = re.compile(r"blocks_(\d+)/(.+)")


@dataclass(frozen=True)
class Layer:
    """One affine map of a denoiser.

    Attributes:
        name: the released name, such as `blocks_0/attn/qkv_image`.
        torch_name: the name in PyTorch, such as `in_blocks.0.attn.qkv_image`, which LoRA files use.
        path: the path of the module in the denoiser, such as `backbone/blocks/stacked_in/attn/qkv_image`.
        index: the position along the leading layer axis; None where layers are not stacked.
        in_width: the size of the input.
        out_width: the size of the output.
    """

    name: str
    torch_name: str
    path: str
    index: int | None
    in_width: int
    out_width: int

    def matches(self, patterns: Iterable[str]) -> bool:
        """Tells whether a pattern matches one of the names in full."""
        names = (self.name, self.torch_name, self.path)
        return any(re.fullmatch(pattern, name) for pattern in patterns for name in names)


@lru_cache(maxsize=8)
def find_layers(config: ModelConfig) -> tuple[Layer, ...]:
    """Returns the affine maps of a model, in the order of its parameters."""
    denoiser = nnx.eval_shape(lambda: init_denoiser(config, jax.random.key(0)))
    flat = flatten(nnx.state(denoiser))
    released = released_names(flat)
    torch_name = _torch_namer(released.values())
    layers: list[Layer] = []
    for path in linear_paths(denoiser):
        names = released[f"{path}/kernel"]
        shape = flat[f"{path}/kernel"].shape
        for index, name in enumerate([names] if isinstance(names, str) else names):
            layer = name.removesuffix("/kernel")
            place = None if isinstance(names, str) else index
            layers.append(Layer(layer, torch_name(layer), path, place, *shape[-2:]))
    return tuple(layers)


def linear_paths(denoiser: Denoiser) -> list[str]:
    """Returns the paths of all `Linear` modules, joined by `/`."""
    return [
        "/".join(str(key) for key in path)
        for path, module in nnx.iter_modules(denoiser)
        if isinstance(module, Linear)
    ]


def select(layers: Sequence[Layer], targets: Sequence[str]) -> tuple[Layer, ...]:
    """Returns the layers that patterns match.

    Raises:
        UserError: naming a pattern that matches none.
    """
    for pattern in targets:
        if not any(layer.matches((pattern,)) for layer in layers):
            names = [layer.name for layer in layers]
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3) or names[:3]
            raise UserError(
                f"lora.targets: {pattern!r} matches no layer in full; layers are {', '.join(near)} and so on "
                "(write '.*' for what may vary)"
            )
    return tuple(layer for layer in layers if layer.matches(targets))


def _torch_namer(released: Iterable[str | list[str]]):
    """Returns the function from released layer names to those of the released PyTorch modules."""
    names = [name for some in released for name in ([some] if isinstance(some, str) else some)]
    depth = 1 + max((int(m[1]) for name in names if (m := _BLOCK.fullmatch(name))), default=0)
    is_u_shaped = any(re.fullmatch(r"blocks_\d+/skip_linear.*", name) for name in names)
    half = depth // 2

    def torch_name(name: str) -> str:
        match = _BLOCK.fullmatch(name)
        if match is None:
            return name.replace("/", ".")
        index, rest = int(match[1]), match[2].replace("/", ".")
        if not is_u_shaped:
            return f"blocks.{index}.{rest}"
        if index == half:
            return f"mid_block.{rest}"
        return f"in_blocks.{index}.{rest}" if index < half else f"out_blocks.{index - half - 1}.{rest}"

    return torch_name

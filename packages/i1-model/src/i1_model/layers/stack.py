"""A stack of equal blocks: parameters stored once with a leading layer axis, and three ways to apply them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError, unknown
from jax import Array

from i1_model.layers.limits import MAX_DEPTH, check_size
from i1_model.ops.remat import SAVED, RematName, SavedName, rematerialize
from i1_model.ops.sharding import constrain

LayersName = Literal["scan", "unrolled", "loop"]
BlockT = TypeVar("BlockT", bound=nnx.Module)
TokensT = TypeVar("TokensT")
OwnT = TypeVar("OwnT")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class LayerInputs(Generic[TokensT, OwnT]):
    """What a block of a stack receives besides its tokens.

    Attributes:
        skip: the output of the mirrored block, for a block with a long skip; None for the others.
        own: this layer's entry of `per_layer`; None without `per_layer`.
        is_last: whether this is the final block of the stack.
    """

    skip: TokensT | None
    own: OwnT | None
    is_last: bool = field(metadata={"static": True})


Step = Callable[[BlockT, TokensT, LayerInputs[TokensT, OwnT]], TokensT]
"""Applies one block to the tokens, which are any pytree of arrays (B, S, width). Only the final block may
change their structure."""


class BlockStack(nnx.Module, Generic[BlockT]):
    """`depth` blocks, optionally U-shaped with long skips (arXiv 2209.12152).

    With long skips the first `(depth - 1) / 2` blocks feed the last ones in reverse order, around one middle
    block. The final block has its own attribute, since backbones may leave out what nothing reads after it.

    Args:
        make_block: returns one block for a key; its second argument says whether the block has a long skip.
        depth: number of blocks; odd when `long_skip`.
        key: random key.
        long_skip: whether the stack is U-shaped.

    Raises:
        UserError: for an even depth with long skips, or a depth below 1.
    """

    def __init__(
        self, make_block: Callable[[Array, bool], BlockT], depth: int, key: Array, *, long_skip: bool
    ) -> None:
        check_size("depth", depth, largest=MAX_DEPTH)
        if long_skip and (depth % 2 == 0 or depth < 3):
            raise UserError(
                f"depth {depth} with long_skip: use an odd depth of at least 3, or long_skip=False"
            )
        self.depth = depth
        self.long_skip = long_skip
        keys = jax.random.split(key, depth)
        if long_skip:
            half = depth // 2
            self.stacked_in = _stack(lambda k: make_block(k, False), keys[:half])
            self.middle = make_block(keys[half], False)
            self.stacked_out = _stack(lambda k: make_block(k, True), keys[half + 1 : -1])
        else:
            self.stacked = _stack(lambda k: make_block(k, False), keys[:-1])
        self.final = make_block(keys[-1], long_skip)

    def __call__(
        self,
        step: Step[BlockT, TokensT, OwnT],
        tokens: TokensT,
        *,
        layers: LayersName,
        remat: RematName,
        keep: tuple[SavedName, ...] = SAVED,
        per_layer: Sequence[OwnT] | None = None,
    ) -> TokensT:
        """Applies every block.

        Args:
            step: how one block is applied.
            tokens: what enters the first block.
            layers: `"scan"` compiles one block of each kind (short compilation), `"unrolled"` all of them (a
                faster step); `"loop"` is a scan that never holds more than one block's parameters in another
                dtype, which XLA on CPU otherwise does for all of them. The numbers are the same.
            remat: what the backward pass recomputes of a block, see `i1_model.ops.remat`.
            keep: what the policy `"saved"` keeps of a block.
            per_layer: one further input per block, `depth` pytrees of equal structure.

        Raises:
            UserError: for an unknown way to apply the layers.
        """
        if layers not in _RUNS:
            raise unknown("layers", layers, _RUNS)
        step = rematerialize(_constrain_tokens(step), remat, keep, in_scan=layers != "unrolled")
        run = _RUNS[layers]
        own = [None] * self.depth if per_layer is None else list(per_layer)
        if not self.long_skip:
            tokens, _ = run(step, self.stacked, tokens, None, own[:-1])
            return step(self.final, tokens, LayerInputs(skip=None, own=own[-1], is_last=True))
        half = self.depth // 2
        tokens, skips = run(step, self.stacked_in, tokens, None, own[:half])
        tokens = step(self.middle, tokens, LayerInputs(skip=None, own=own[half], is_last=False))
        tokens, _ = run(step, self.stacked_out, tokens, skips[:0:-1], own[half + 1 : -1])
        return step(self.final, tokens, LayerInputs(skip=skips[0], own=own[-1], is_last=True))

    def map(self, function: Callable[[BlockT], OwnT]) -> list[OwnT]:
        """Returns `function(block)` of every block, in order."""
        if self.long_skip:
            blocks = [*unstack(self.stacked_in), self.middle, *unstack(self.stacked_out), self.final]
        else:
            blocks = [*unstack(self.stacked), self.final]
        return [function(block) for block in blocks]


class _Outputs:
    """The stacked outputs of a scan, indexed like the list of outputs of an unrolled run."""

    def __init__(self, stacked: Any) -> None:
        self.stacked = stacked

    def __getitem__(self, index: Any) -> Any:
        part = jax.tree.map(lambda leaf: leaf[index], self.stacked)
        return _Outputs(part) if isinstance(index, slice) else part


def _stack(make_block: Callable[[Array], BlockT], keys: Array) -> BlockT | None:
    return jax.vmap(make_block)(keys) if keys.shape[0] else None


def unstack(stacked: BlockT | None) -> list[BlockT]:
    """Splits stacked parameters into blocks.

    Unlike indexing, its gradient is a single concatenation per parameter.
    """
    if stacked is None:
        return []
    leaves, treedef = jax.tree.flatten(stacked)
    num = leaves[0].shape[0]
    rows = [jax.lax.split(leaf, [1] * num, axis=0) for leaf in leaves]
    return [jax.tree.unflatten(treedef, [jnp.squeeze(row[i], 0) for row in rows]) for i in range(num)]


def _unroll(step: Step, stacked: Any, tokens: Any, skips: Any, own: list[Any]) -> tuple[Any, Any]:
    outputs = []
    for index, block in enumerate(unstack(stacked)):
        skip = None if skips is None else skips[index]
        tokens = step(block, tokens, LayerInputs(skip=skip, own=own[index], is_last=False))
        outputs.append(tokens)
    return tokens, outputs


def _scan(step: Step, stacked: Any, tokens: Any, skips: Any, own: list[Any]) -> tuple[Any, Any]:
    if stacked is None:
        return tokens, []

    def body(carry: Any, layer: Any) -> tuple[Any, Any]:
        block, skip, layer_own = layer
        carry = step(block, carry, LayerInputs(skip=skip, own=layer_own, is_last=False))
        return carry, carry if skips is None else None

    stacked_own = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    stacked_skips = None if skips is None else skips.stacked
    tokens, outputs = jax.lax.scan(body, tokens, (stacked, stacked_skips, stacked_own))
    return tokens, _Outputs(outputs)


def _loop(step: Step, stacked: Any, tokens: Any, skips: Any, own: list[Any]) -> tuple[Any, Any]:
    if stacked is None:
        return tokens, []

    def body(carry: Any, layer: Any) -> tuple[Any, Any]:
        index, skip, layer_own = layer
        tokens, parameters = carry[0], jax.lax.optimization_barrier(carry[1])
        block = jax.tree.map(
            lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), parameters
        )
        tokens = step(block, tokens, LayerInputs(skip=skip, own=layer_own, is_last=False))
        return (tokens, parameters), tokens if skips is None else None

    indices = jnp.arange(len(own), dtype=jnp.int32)
    stacked_own = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    layers = (indices, None if skips is None else skips.stacked, stacked_own)
    (tokens, _), outputs = jax.lax.scan(body, (tokens, stacked), layers)
    return tokens, _Outputs(outputs)


_RUNS: dict[LayersName, Callable[..., tuple[Any, Any]]] = {
    "scan": _scan,
    "unrolled": _unroll,
    "loop": _loop,
}


def _constrain_tokens(step: Step[BlockT, TokensT, OwnT]) -> Step[BlockT, TokensT, OwnT]:
    """Returns the step with the tokens (B, S, width) that enter a block sharded over the mesh."""

    def constrained(block: BlockT, tokens: TokensT, inputs: LayerInputs[TokensT, OwnT]) -> TokensT:
        tokens = jax.tree.map(lambda array: constrain(array, "batch", "context", None), tokens)
        return step(block, tokens, inputs)

    return constrained

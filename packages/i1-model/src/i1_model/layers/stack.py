"""A stack of equal blocks: parameters stored once with a leading layer axis, and three ways to apply them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from i1_hooks import UserError
from jax import Array

from i1_model.ops.remat import SAVED, RematName, SavedName, rematerialised
from i1_model.ops.sharding import constrain

LayersName = Literal["scan", "unrolled", "loop"]


class Step(Protocol):
    """Applies one block: `block` to the tokens `x`.

    `skip` is the output of the mirrored block or None, `extra` this layer's own input or None, and `last` is
    true for the final block of the stack. The tokens are any pytree; only the final block may change its
    structure.
    """

    def __call__(self, block: Any, x: Any, skip: Any, extra: Any, last: bool) -> Any: ...  # noqa: D102


class BlockStack(nnx.Module):
    """`depth` blocks, U-shaped with long skips on request (arXiv 2209.12152).

    With long skips the first `(depth - 1) / 2` blocks feed the last ones in reverse order, around one middle
    block. The final block has its own attribute, since backbones may leave out what nothing reads after it.

    Args:
        make_block: returns one block for a key; its second argument says whether the block takes a long skip.
        depth: number of blocks; odd when `long_skip`.
        key: random key.
        long_skip: whether the stack is U-shaped.

    Raises:
        UserError: for an even depth with long skips, or a depth below 1.
    """

    def __init__(
        self, make_block: Callable[[Array, bool], nnx.Module], depth: int, key: Array, *, long_skip: bool
    ) -> None:
        if depth < 1:
            raise UserError(f"depth {depth}: a stack needs at least 1 block")
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
        step: Step,
        x: Any,
        *,
        layers: LayersName,
        remat: RematName,
        keep: tuple[SavedName, ...] = SAVED,
        extras: Sequence[Any] | None = None,
    ) -> Any:
        """Applies every block.

        Args:
            step: how one block is applied.
            x: the tokens.
            layers: `"scan"` compiles one block of each kind (short compilation), `"unrolled"` all of them (a
                faster step); `"loop"` is a scan that never holds more than one block's weights in another
                dtype, which XLA on CPU otherwise does for all of them. The numbers are the same.
            remat: what the backward pass recomputes of a block, see `i1_model.ops.remat`.
            keep: what the policy `"saved"` keeps of a block.
            extras: one more input per block, `depth` pytrees of equal structure.
        """
        in_scan = layers != "unrolled"
        step = rematerialised(_placed(step), remat, keep, in_scan=in_scan, static_argnums=(4,))
        run = {"scan": _scan, "unrolled": _unroll, "loop": _loop}[layers]
        extras = [None] * self.depth if extras is None else list(extras)
        if not self.long_skip:
            x, _ = run(step, self.stacked, x, None, extras[:-1])
            return step(self.final, x, None, extras[-1], True)
        half = self.depth // 2
        x, skips = run(step, self.stacked_in, x, None, extras[:half])
        x = step(self.middle, x, None, extras[half], False)
        x, _ = run(step, self.stacked_out, x, skips[:0:-1], extras[half + 1 : -1])
        return step(self.final, x, skips[0], extras[-1], True)

    def map(self, function: Callable[[Any], Any]) -> list[Any]:
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


def _stack(make_block: Callable[[Array], nnx.Module], keys: Array) -> nnx.Module | None:
    return jax.vmap(make_block)(keys) if keys.shape[0] else None


def unstack(stacked: Any) -> list[Any]:
    """Cuts stacked parameters into blocks.

    Unlike indexing, its gradient is a single concatenation per parameter.
    """
    if stacked is None:
        return []
    leaves, treedef = jax.tree.flatten(stacked)
    num = leaves[0].shape[0]
    rows = [jax.lax.split(leaf, [1] * num, axis=0) for leaf in leaves]
    return [jax.tree.unflatten(treedef, [jnp.squeeze(row[i], 0) for row in rows]) for i in range(num)]


def _unroll(step: Step, stacked: Any, x: Any, skips: Any, extras: list[Any]) -> tuple[Any, Any]:
    outputs = []
    for index, block in enumerate(unstack(stacked)):
        x = step(block, x, None if skips is None else skips[index], extras[index], False)
        outputs.append(x)
    return x, outputs


def _scan(step: Step, stacked: Any, x: Any, skips: Any, extras: list[Any]) -> tuple[Any, Any]:
    if stacked is None:
        return x, []

    def body(carry: Any, layer: Any) -> tuple[Any, Any]:
        block, skip, extra = layer
        carry = step(block, carry, skip, extra, False)
        return carry, carry if skips is None else None

    stacked_extras = jax.tree.map(lambda *leaves: jnp.stack(leaves), *extras)
    x, outputs = jax.lax.scan(body, x, (stacked, None if skips is None else skips.stacked, stacked_extras))
    return x, _Outputs(outputs)


def _loop(step: Step, stacked: Any, x: Any, skips: Any, extras: list[Any]) -> tuple[Any, Any]:
    if stacked is None:
        return x, []

    def body(carry: Any, layer: Any) -> tuple[Any, Any]:
        index, skip, extra = layer
        x, weights = carry[0], jax.lax.optimization_barrier(carry[1])
        block = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), weights)
        x = step(block, x, skip, extra, False)
        return (x, weights), x if skips is None else None

    indices = jnp.arange(len(extras), dtype=jnp.int32)
    stacked_extras = jax.tree.map(lambda *leaves: jnp.stack(leaves), *extras)
    layers = (indices, None if skips is None else skips.stacked, stacked_extras)
    (x, _), outputs = jax.lax.scan(body, (x, stacked), layers)
    return x, _Outputs(outputs)


def _placed(step: Step) -> Step:
    """Keeps the tokens (B, S, width) that enter a block where a mesh has them."""

    def placed(block: Any, x: Any, skip: Any, extra: Any, last: bool) -> Any:
        x = jax.tree.map(lambda tokens: constrain(tokens, "batch", "context", None), x)
        return step(block, x, skip, extra, last)

    return placed

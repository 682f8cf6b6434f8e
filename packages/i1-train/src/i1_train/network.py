"""The denoiser as a pure function of a flat dict of arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx
from i1_model.arrays.trees import flatten
from i1_model.config import ModelConfig
from i1_model.denoiser import Denoiser, init_denoiser

from i1_train.parameters import Params


@dataclass(frozen=True, eq=False)
class Network:
    """Everything of a denoiser but its arrays.

    Attributes:
        init: from a random key to new float32 parameters; pure and jittable.
        shapes: shape and dtype of every parameter, by path.
    """

    init: Callable[[jax.Array], Params]
    shapes: dict[str, jax.ShapeDtypeStruct]
    _graphdef: Any
    _treedef: Any

    def state(self, params: Params) -> nnx.State:
        """Returns the arrays as the state that `nnx.split` gives."""
        return jax.tree.unflatten(self._treedef, [params[path] for path in self.shapes])

    def denoiser(self, params: Params) -> Denoiser:
        """Returns the module with these arrays; call it inside the function that uses the module."""
        return nnx.merge(self._graphdef, self.state(params))


def make_network(config: ModelConfig, build: Callable[..., Denoiser] = init_denoiser) -> Network:
    """Returns the network of a model, without allocating its parameters.

    Args:
        config: the model.
        build: makes the denoiser from the configuration and a `key`.
    """
    graphdef, state = nnx.split(nnx.eval_shape(lambda: build(config, key=jax.random.key(0))))

    def init(key: jax.Array) -> Params:
        return flatten(nnx.state(build(config, key=key)))

    return Network(init, flatten(state), graphdef, jax.tree.structure(state))

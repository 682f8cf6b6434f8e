"""Any model as a stored one; an adapter's folder is its base with the adapter added."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from i1_hooks import UserError

from i1_model.arrays.lazy import LazyArray
from i1_model.checkpoints.locate import locate_model
from i1_model.checkpoints.released import WeightsName
from i1_model.checkpoints.stored import StoredModel, open_stored, with_resolution
from i1_model.lora.factors import Adapter, Factors, check_adapter
from i1_model.lora.folder import ADAPTER, is_adapter, load_adapter
from i1_model.lora.layers import find_layers


@contextmanager
def open_model(
    model: str | os.PathLike[str],
    *,
    weights: WeightsName = "ema",
    resolution: int | None = None,
    revision: str | None = None,
) -> Iterator[StoredModel]:
    """Opens a model of any form and from any place; its arrays can be read until the `with` block ends.

    Args:
        model: as for `i1_model.checkpoints.locate.locate_model`.
        weights: as for `i1_model.checkpoints.stored.open_stored`.
        resolution: as for `i1_model.checkpoints.stored.open_stored`.
        revision: as for `i1_model.checkpoints.locate.locate_model`.

    Raises:
        UserError: when there is no such model, it is damaged, or its adapter does not fit its base.
    """
    path, _ = locate_model(model, resolution, revision)
    if not is_adapter(path):
        with open_stored(path, weights=weights, resolution=resolution) as stored:
            yield stored
        return
    tuned = load_adapter(path)
    base = locate_base(path, tuned.base, tuned.config.resolution)
    with open_stored(base, weights=weights, resolution=tuned.config.resolution) as stored:
        metadata = {key: value for key, value in tuned.metadata.items() if key != ADAPTER}
        config = with_resolution(tuned.config, resolution)
        try:
            arrays = with_adapter(stored, tuned.adapter)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        yield replace(stored, config=config, metadata=metadata, arrays=arrays)


def locate_base(folder: Path, base: str, resolution: int) -> Path:
    """Returns where the model is that the adapter in a folder belongs to.

    Raises:
        UserError: when it is not here.
    """
    try:
        return locate_model(base, resolution)[0]
    except UserError as error:
        raise UserError(
            f"{folder} holds a LoRA for {base!r}, which is not here ({error}); give that model with --model "
            "and this folder with --lora"
        ) from error


def with_adapter(stored: StoredModel, adapter: Adapter) -> dict[str, LazyArray]:
    """Returns a model's arrays with an adapter added to its kernels, `W + scale * a @ b`, as they are read.

    The sum is in float32 and rounded once, to the dtype of the kernel.

    Raises:
        UserError: listing the layers that the model lacks or that have other widths.
    """
    layers = {layer.torch_name: layer for layer in find_layers(stored.config)}
    check_adapter(layers, adapter)
    arrays = dict(stored.arrays)
    for name, factors in adapter.items():
        kernel = f"{layers[name].name}/kernel"
        arrays[kernel] = _sum(arrays[kernel], factors)
    return arrays


def _sum(kernel: LazyArray, factors: Factors) -> LazyArray:
    def fill(out: np.ndarray) -> None:
        np.copyto(out, np.asarray(kernel, np.float32) + factors.product(), casting="unsafe")

    return LazyArray(kernel.shape, kernel.dtype, kernel.stored, fill, name=f"{kernel.name} with a LoRA")

"""Run in a process with eight fake devices: steps of a tiny model on meshes named as arguments, as JSON."""

import dataclasses
import functools
import json
import sys

import jax
import numpy as np
from i1_train.devices.machines import Hardware, MachineMesh
from i1_train.devices.placement import find_machine, make_placement
from i1_train.parts import build_parts
from i1_train.recipes.scenes import scenes_tiny
from i1_train.step import init_state, make_step, state_shapes

jax.config.update("jax_numpy_dtype_promotion", "strict")

MESHES = {
    "one": {},
    "fsdp": {"data": 2, "fsdp": 4},
    "tensor": {"data": 2, "fsdp": 2, "tensor": 2},
    "context": {"fsdp": 2, "context": 4},
    "mixed": {"fsdp": 2, "context": 2, "tensor": 2},
}


def recipe():
    tiny = scenes_tiny()
    backbone = dataclasses.replace(tiny.model.backbone, hidden_width=48, layers="unrolled")
    return dataclasses.replace(tiny, batch_size=8, model=dataclasses.replace(tiny.model, backbone=backbone))


@functools.cache
def initial():
    parts = build_parts(recipe())
    return jax.device_get(jax.jit(lambda: init_state(parts, jax.random.key(0)))())


def losses(name, sizes, steps=3):
    machine = MachineMesh(name=name, **sizes)
    devices = jax.devices()[: machine.num_devices]
    config = dataclasses.replace(recipe(), hardware=Hardware(machine=name, machines=(machine,)))
    machine = find_machine(config.hardware, devices, 8, 1)
    parts = build_parts(config)
    constants = parts.constants(0)
    placement = make_placement(
        machine,
        devices,
        rules=config.hardware.sharding,
        shapes=parts.network.shapes,
        state=state_shapes(parts),
        constants=constants,
        batch_size=8,
    )
    constants = placement.put_constants(constants)
    state = jax.tree.map(jax.device_put, initial(), placement.state)
    step = make_step(config, parts, placement)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    batch = {"image": pixels, "tokens": parts.tokenize(["a red circle"] * 7 + ["three stars"])}
    found = []
    for _ in range(steps):
        state, metrics = step(state, constants, placement.put_batch(batch))
        found.append([float(metrics["loss"]), float(metrics["grad_norm"])])
    path = "backbone/blocks/stacked_in/mlp_image/w12/kernel"
    local = state["params"][path].addressable_shards[0].data.shape
    moment = jax.tree.leaves(state["opt"])
    cut = sum(leaf.addressable_shards[0].data.size for leaf in moment) / sum(leaf.size for leaf in moment)
    return {"losses": found, "shard": local, "whole": state["params"][path].shape, "moments_cut": cut}


if __name__ == "__main__":
    print(json.dumps({name: losses(name, MESHES[name]) for name in sys.argv[1:]}))

"""Meshes: the same losses however a step is cut, and mistakes found before anything is compiled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from i1_hooks import UserError
from i1_train.config import TrainConfig
from i1_train.devices.machines import MachineMesh, check_batch, choose_machine
from i1_train.devices.mesh import parameter_specs
from i1_train.network import make_network
from i1_train.recipes import load_recipe
from jax.sharding import AbstractMesh, PartitionSpec

MACHINES = load_recipe("i1-3b-256").hardware.machines


def run_on(*meshes):
    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8",
    }
    script = Path(__file__).with_name("on_mesh.py")
    command = [sys.executable, str(script), *meshes]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def check_meshes(found):
    for name in found.keys() - {"one"}:
        np.testing.assert_allclose(found[name]["losses"], found["one"]["losses"], rtol=1e-5, err_msg=name)
        parts = np.prod(found[name]["whole"]) / np.prod(found[name]["shard"])
        assert parts > 1
        assert found[name]["moments_cut"] < 1.5 / parts


def test_losses_are_those_of_one_device_and_the_state_is_cut():
    check_meshes(run_on("one", "mixed"))


@pytest.mark.slow
def test_losses_are_those_of_one_device_on_every_axis_alone():
    check_meshes(run_on("one", "fsdp", "tensor", "context"))


def test_a_machine_is_found_by_its_devices():
    assert choose_machine(MACHINES, "auto", 64, "v5p").name == "v5p-128"
    assert choose_machine(MACHINES, "auto", 256, "v6e").fsdp == 32
    assert choose_machine(MACHINES, "auto", 1, "cpu").num_devices == 1
    assert choose_machine(MACHINES, "auto", 6, "gpu").data == 6


@pytest.mark.parametrize(
    ("name", "num_devices", "message"),
    [
        ("v5p-128", 8, r"machine 'v5p-128' has 64 devices \(data=2, fsdp=32, .*there are 8"),
        ("v5p-12", 64, "did you mean|choose|v5p-128"),
    ],
)
def test_a_machine_that_does_not_fit_is_one_line(name, num_devices, message):
    with pytest.raises(UserError, match=message) as error:
        choose_machine(MACHINES, name, num_devices, "v5p")
    assert "\n" not in str(error.value)


def test_a_batch_that_does_not_divide_is_one_line():
    machine = MachineMesh(name="box", fsdp=8)
    with pytest.raises(UserError, match="batch_size 12 does not divide among data x fsdp = 1 x 8"):
        check_batch(machine, 12, 1)
    with pytest.raises(UserError, match="use a multiple of 16"):
        check_batch(machine, 24, 2)


def mesh(**sizes):
    names = ("data", "fsdp", "context", "tensor")
    return AbstractMesh(tuple(sizes.get(name, 1) for name in names), names)


@pytest.mark.parametrize("recipe", ["i1-3b-1024", "i1-1b-256", "baseline-cross", "baseline-single"])
def test_large_parameters_are_cut_on_every_machine(recipe):
    config: TrainConfig = load_recipe(recipe)
    shapes = make_network(config.model).shapes
    for machine in config.hardware.machines:
        sizes = dict(zip(("data", "fsdp", "context", "tensor"), machine.shape, strict=True))
        specs = parameter_specs(shapes, config.hardware.sharding, mesh(**sizes))
        whole = sum(leaf.size for path, leaf in shapes.items() if not any(specs[path]))
        assert whole < 0.005 * sum(leaf.size for leaf in shapes.values())


def test_long_skips_are_cut_the_other_way_on_data_fsdp_and_tensor_together():
    config = load_recipe("scenes-tiny")
    shapes = make_network(config.model).shapes
    path = "backbone/blocks/final/skip_linear_image/kernel"
    two = parameter_specs(shapes, config.hardware.sharding, mesh(fsdp=2, tensor=2))
    three = parameter_specs(shapes, config.hardware.sharding, mesh(data=2, fsdp=2, tensor=2))
    assert two[path] == PartitionSpec("fsdp", "tensor")
    assert three[path] == PartitionSpec("tensor", "fsdp")


def test_a_mesh_that_divides_no_matrix_is_one_line():
    config = load_recipe("i1-3b-256")
    shapes = make_network(config.model).shapes
    with pytest.raises(UserError, match="fsdp=64 does not divide dimension 2016"):
        parameter_specs(shapes, config.hardware.sharding, mesh(fsdp=64))
    wrong = ((".*kernel", ("model",)),)
    with pytest.raises(UserError, match="axis 'model'; axes are data, fsdp, context, tensor"):
        parameter_specs(shapes, wrong, mesh(fsdp=4))


def test_one_device_needs_no_mesh():
    config = load_recipe("scenes-tiny")
    specs = parameter_specs(make_network(config.model).shapes, config.hardware.sharding, mesh())
    assert specs["backbone/blocks/middle/mlp_image/w3/kernel"] == PartitionSpec("fsdp", "tensor")
    assert config.hardware.machine == "auto"
    assert jax.device_count() == 1

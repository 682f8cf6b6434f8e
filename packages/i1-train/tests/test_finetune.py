import dataclasses
import math
import re
from pathlib import Path

import jax
import pytest
from i1_model.lora.layers import find_layers
from i1_train.lora import denoiser_builder, frozen_by_lora, load_base
from i1_train.network import make_network
from i1_train.parameters import describe_parameters
from i1_train.parts import Parts
from i1_train.recipes import finetune, load_recipe
from i1_train.step import init_state
from i1_train.update import make_update

DOCS = Path(__file__).parents[3] / "docs" / "fine-tuning.md"


def num_bytes(tree):
    packed = {"int4": 0.5, "uint4": 0.5}
    return sum(
        math.prod(leaf.shape) * packed.get(leaf.dtype.name, leaf.dtype.itemsize)
        for leaf in jax.tree.leaves(tree)
    )


def row(title):
    line = next(line for line in DOCS.read_text().splitlines() if line.startswith(f"| {title}"))
    return [float(number) for number in re.findall(r"\| (\d+\.\d+)", line)]


@pytest.mark.parametrize(("column", "quantization"), list(enumerate(["none", "int8", "nf4"])))
def test_the_bytes_of_the_documentation(column, quantization):
    config = finetune.lora()
    config = dataclasses.replace(config, lora=dataclasses.replace(config.lora, quantization=quantization))
    network = make_network(config.model, denoiser_builder(config.lora))
    base = load_base(config, network, abstract=True)
    frozen = frozen_by_lora(config.model, config.lora)
    update = make_update(config, describe_parameters(network.shapes), frozen)
    parts = Parts(network=network, text_encoders=(), autoencoder=None, update=update, base=base)
    state = jax.eval_shape(lambda key: init_state(parts, key), jax.random.key(0))
    (encoder,) = config.model.text_encoders
    autoencoder = config.model.autoencoder.build_abstract()
    counted = [num_bytes(part) / 1e9 for part in (base, state, encoder.shapes(), autoencoder.params)]
    titles = ("frozen i1-3B", "LoRA of rank 16", "T5Gemma-2B encoder", "FLUX.2 autoencoder")
    assert [round(number, 2) for number in counted] == [row(title)[column] for title in titles]
    assert round(sum(counted), 2) == row("together")[column]


def test_the_recipes_are_complete():
    for name in ("finetune-lora", "finetune-full", "scenes-lora"):
        config = load_recipe(name)
        config.check()
        assert config.recipe == name
        assert config.init_from
        assert config.model.null_caption_prob > 0
        assert config.batch_size // config.grad_accumulation == (
            1 if name == "finetune-lora" else config.batch_size
        )
    assert not finetune.full().lora.is_on
    assert load_recipe("scenes", ["lora.rank=16"]).lora.rank == 16


def test_the_default_targets_are_all_blocks():
    config = finetune.lora()
    layers = [layer for layer in find_layers(config.model) if layer.matches(config.lora.targets)]
    assert {layer.name.split("/")[0] for layer in layers} == {f"blocks_{i}" for i in range(29)}
    kinds = {layer.name.split("/")[-1] for layer in layers}
    assert kinds == {
        *("qkv_image", "qkv_text", "proj_image", "proj_text"),
        *("w12", "w3", "skip_linear_image", "skip_linear_text"),
    }

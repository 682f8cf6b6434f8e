"""Damaged configurations of every component of every kind, of recipes and of models."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from i1_hooks import ComponentConfig, UserError, from_dict, get_registry, to_json
from i1_hooks.annotations import field_types
from i1_hooks.component import slot_of
from i1_hooks.config import check_round_trip
from i1_hooks.files import parse_json
from i1_hooks.hookspecs import KINDS
from i1_hooks.testing import FUNCTION_KINDS
from i1_model.config import ModelConfig
from i1_model.denoiser import init_denoiser
from i1_train.config import TrainConfig
from mutations import Format, fuzz

REQUIRED = ({str: "x", int: 1, float: 1.0, bool: False}, {str: "x", int: 2, float: 0.5, bool: False})
"""Values for fields without a default, by type; the first that a component takes are used."""

VALID: dict[str, str] = {}
"""The texts of the valid files, which are read once."""


def example(config_class: type) -> ComponentConfig:
    """Returns a component of a class, with values that it takes where it has no defaults."""
    absent = [
        field.name
        for field in dataclasses.fields(config_class)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    refused = []
    for values in REQUIRED:
        try:
            return config_class(**{name: values.get(field_types(config_class)[name], ()) for name in absent})
        except UserError as error:
            refused.append(error)
    raise AssertionError(f"no example of {config_class.__name__} was taken: {refused}")


def damaged(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields name and text of every file that is not as it was written first."""
    for file in sorted(folder.rglob("*.json")):
        name = str(file.relative_to(folder))
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
        if VALID.setdefault(name, text) != text or len(VALID) == 1:
            yield name, text


def read(annotation: object, name: str, text: str) -> object:
    """Reads configurations: either they survive JSON, or a check that says why refuses them."""
    try:
        found = from_dict(annotation, parse_json(text, name))
    except UserError as error:
        if "cannot be made of these values" in str(error):
            raise AssertionError(f"a check of {name} failed in another way: {error}") from error
        raise
    for config in found if isinstance(found, tuple) else (found,):
        try:
            check_round_trip(config)
        except UserError as error:
            raise AssertionError(f"{name} was read and does not survive JSON: {error}") from error
    return found


def write_components(folder: Path) -> None:
    """Writes one file for each kind, with a list of all its components."""
    registry = get_registry()
    for kind in set(KINDS) - set(FUNCTION_KINDS):
        components = tuple(example(registry.load(kind, name)) for name in registry.components(kind))
        (folder / f"{kind}.json").write_text(to_json(components))


def read_components(folder: Path) -> None:
    """Reads the damaged files through the base class of their slot."""
    registry = get_registry()
    for name, text in damaged(folder):
        kind = name.removesuffix(".json")
        base = slot_of(registry.load(kind, next(iter(registry.components(kind)))))
        read(tuple[base, ...], name, text)


def write_recipes(folder: Path) -> None:
    """Writes one file for each recipe."""
    registry = get_registry()
    for name in registry.components("recipes"):
        (folder / f"{name}.json").write_text(to_json(registry.load("recipes", name)()))


def read_recipes(folder: Path) -> None:
    """Reads the damaged files of recipes."""
    for name, text in damaged(folder):
        read(TrainConfig, name, text)


def write_models(folder: Path) -> None:
    """Writes the configuration of a small model for each backbone."""
    recipe = get_registry().load("recipes", "scenes-tiny")()
    model = json.loads(to_json(recipe.model))
    small = {"hidden_width": 16, "num_heads": 2, "depth": 3, "patch_size": 2}
    for name in get_registry().components("backbones"):
        model["backbone"] = {"component": name, **small}
        (folder / f"{name}.json").write_text(json.dumps(model))


def read_models(folder: Path) -> None:
    """Reads the damaged files of models and traces the networks that they describe."""
    for name, text in damaged(folder):
        config = read(ModelConfig, name, text)
        assert isinstance(config, ModelConfig)
        jax.eval_shape(lambda key, config=config: init_denoiser(config, key), jax.random.key(0))


FORMATS = {
    "components": Format(make=write_components, read=read_components),
    "recipes": Format(make=write_recipes, read=read_recipes),
    "models": Format(make=write_models, read=read_models, seconds=120, megabytes=2048),
}


@pytest.mark.parametrize(("name", "inputs"), [("components", 500), ("recipes", 200), ("models", 60)])
def test_damaged_configurations(name, inputs):
    fuzz(__file__, name, inputs=inputs, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "inputs"), [("components", 20_000), ("recipes", 9000), ("models", 1000)])
def test_many_damaged_configurations(name, inputs):
    fuzz(__file__, name, inputs=inputs, seed=2)

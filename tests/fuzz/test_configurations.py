"""Damaged configurations of every component of every kind, of models and of recipes."""

import dataclasses
import json
from pathlib import Path

import pytest
from i1_hooks import ComponentConfig, UserError, from_json, get_registry, to_json
from i1_hooks.annotations import field_types
from i1_hooks.component import slot_of
from i1_hooks.config import check_round_trip
from i1_hooks.hookspecs import KINDS
from i1_hooks.testing import FUNCTION_KINDS
from i1_model.config import ModelConfig
from i1_train.config import TrainConfig
from mutations import Format, fuzz

REQUIRED = {str: "x", int: 1, float: 0.5, bool: False}
"""Values for fields without a default, by type."""


def example(config_class: type) -> ComponentConfig:
    """Returns a component of a class, with any values where it has no defaults."""
    absent = {
        field.name: REQUIRED.get(field_types(config_class)[field.name], ())
        for field in dataclasses.fields(config_class)
        if field.init
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    }
    return config_class(**absent)


def write_kind(kind: str, folder: Path) -> None:
    """Writes one file for each component of a kind."""
    registry = get_registry()
    for name in registry.components(kind):
        config = example(registry.load(kind, name))
        (folder / f"{name}.json").write_text(to_json(config))


def read_kind(kind: str, folder: Path) -> None:
    """Reads the files of a kind through the base class of its slot."""
    registry = get_registry()
    first = next(iter(registry.components(kind)))
    base = slot_of(registry.load(kind, first))
    for file in sorted(folder.glob("*.json")):
        check(base, file)


def check(base: type, file: Path) -> None:
    """Reads a file: either it survives JSON, or a check that says why refuses it."""
    try:
        config = from_json(base, file.read_text(encoding="utf-8", errors="surrogateescape"))
    except UserError as error:
        if "cannot be made of these values" in str(error):
            raise AssertionError(f"a check of {file.stem} failed in another way: {error}") from error
        raise
    try:
        check_round_trip(config)
    except UserError as error:
        raise AssertionError(f"{file.stem} was read and does not survive JSON: {error}") from error


def write_recipes(folder: Path) -> None:
    """Writes one file for each recipe."""
    registry = get_registry()
    for name in registry.components("recipes"):
        (folder / f"{name}.json").write_text(to_json(registry.load("recipes", name)()))


def read_recipes(folder: Path) -> None:
    """Reads the files of recipes."""
    for file in sorted(folder.glob("*.json")):
        check(TrainConfig, file)


def write_model(folder: Path) -> None:
    """Writes the configuration of a small model for each backbone."""
    recipe = get_registry().load("recipes", "scenes-tiny")()
    model = json.loads(to_json(recipe.model))
    small = {"hidden_width": 16, "num_heads": 2, "depth": 2, "patch_size": 2}
    for name in get_registry().components("backbones"):
        model["backbone"] = {"component": name, **small}
        (folder / f"{name}.json").write_text(json.dumps(model))


def read_model(folder: Path) -> None:
    """Reads the files of models and traces the networks that they describe."""
    import jax
    from i1_model.denoiser import init_denoiser

    for file in sorted(folder.glob("*.json")):
        check(ModelConfig, file)
        config = from_json(ModelConfig, file.read_text(encoding="utf-8", errors="surrogateescape"))
        if json.loads(file.read_text()) != READ.get(file.stem):
            jax.eval_shape(lambda key, config=config: init_denoiser(config, key), jax.random.key(0))
        READ.setdefault(file.stem, json.loads(file.read_text()))


READ: dict[str, object] = {}
"""The valid model configurations, which are traced once."""

FORMATS = {
    **{
        kind: Format(
            make=lambda folder, kind=kind: write_kind(kind, folder),
            read=lambda folder, kind=kind: read_kind(kind, folder),
        )
        for kind in KINDS
        if kind not in FUNCTION_KINDS
    },
    "recipes": Format(make=write_recipes, read=read_recipes),
    "models": Format(make=write_model, read=read_model, megabytes=2048),
}

NUMBERS = {"recipes": 200, "models": 40}
"""Inputs in the short run; 60 for a kind."""


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_configurations(name):
    fuzz(__file__, name, inputs=NUMBERS.get(name, 60), seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_many_damaged_configurations(name):
    fuzz(__file__, name, inputs={"recipes": 4000, "models": 1000}.get(name, 1250), seed=2)

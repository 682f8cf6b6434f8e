import dataclasses
import json
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from i1_hooks import (
    Component,
    ComponentConfig,
    Registry,
    UserError,
    from_dict,
    from_json,
    hookimpl,
    override,
    to_dict,
    to_json,
    use_registry,
)


class Adapter(ComponentConfig, kind="adapters"):
    pass


@dataclass(frozen=True, kw_only=True)
class Mlp(Adapter):
    width: int = 4

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")


@dataclass(frozen=True, kw_only=True)
class Stack(Adapter):
    inner: Adapter = field(default_factory=Mlp)
    scales: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unregistered(Adapter):
    pass


@dataclass(frozen=True, kw_only=True)
class Part:
    path: str = "here"
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Run:
    name: str
    steps: int = 10
    rate: float = 0.5
    fast: bool = False
    mode: Literal["scan", "loop", 3] = "scan"
    limit: int | None = None
    drop: float | tuple[float, ...] = 0.1
    pair: tuple[int, str] = (1, "a")
    words: tuple[str, ...] = ()
    adapter: Adapter = field(default_factory=Mlp)
    spare: Adapter | None = None
    adapters: tuple[Adapter, ...] = ()
    parts: tuple[Part, ...] = (Part(),)
    table: dict[str, float] = field(default_factory=dict)
    note: str | int | None = None
    anything: Any = None
    derived: int = field(init=False, default=7)


def hook():
    return [
        Component("mlp", f"{Mlp.__module__}:Mlp", "small"),
        Component("stack", f"{Mlp.__module__}:Stack", "deep"),
    ]


@pytest.fixture(autouse=True)
def registry():
    made = Registry([("t", "dist-t", "1", lambda: SimpleNamespace(i1_adapters=hookimpl(hook)))], strict=True)
    with use_registry(made):
        yield made


RUN = Run(
    name="r",
    limit=3,
    drop=(0.1, 0.2),
    words=("a", "b"),
    adapter=Stack(inner=Stack(scales=(1.0, 2.5))),
    spare=Mlp(width=9),
    adapters=(Mlp(), Stack()),
    parts=(Part(), Part(path="there", weight=2.0)),
    table={"x": 1.0},
    note=5,
    anything={"free": [1, None, "x"]},
)


@pytest.mark.parametrize("config", [Run(name="r"), RUN])
def test_json_round_trip(config):
    assert from_json(Run, to_json(config)) == config
    assert to_json(from_json(Run, to_json(config))) == to_json(config)


def test_json_shape():
    data = to_dict(Run(name="r", adapter=Stack()))
    assert data["adapter"] == {"component": "stack", "inner": {"component": "mlp", "width": 4}, "scales": []}
    assert "derived" not in data
    assert list(data)[:2] == ["name", "steps"]


def test_random_configurations_survive_json():
    draw = random.Random(0)

    def adapter(depth=0):
        if depth > 2 or draw.random() < 0.5:
            return Mlp(width=draw.randint(1, 9))
        return Stack(inner=adapter(depth + 1), scales=tuple(draw.random() for _ in range(draw.randint(0, 3))))

    for _ in range(200):
        config = Run(
            name="".join(draw.choices('ab "\\é\n=.', k=5)),
            steps=draw.randint(-(10**18), 10**18),
            rate=draw.choice([0.0, -0.0, 1e-300, 1e300, 0.1, draw.random()]),
            limit=draw.choice([None, 0]),
            drop=draw.choice([0.5, (0.5,), ()]),
            adapter=adapter(),
            adapters=tuple(adapter() for _ in range(draw.randint(0, 3))),
            note=draw.choice([None, "5", 5, "null"]),
        )
        assert from_json(Run, to_json(config)) == config


@pytest.mark.parametrize(
    ("assignment", "path", "expected"),
    [
        ("steps=20", "steps", 20),
        ("rate=2", "rate", 2.0),
        ("rate=1e-3", "rate", 1e-3),
        ("fast=true", "fast", True),
        ("fast=False", "fast", False),
        ("mode=loop", "mode", "loop"),
        ("mode=3", "mode", 3),
        ("limit=null", "limit", None),
        ("limit=None", "limit", None),
        ("name=plain", "name", "plain"),
        ("name=a=b", "name", "a=b"),
        ("name=5", "name", "5"),
        ('name="5"', "name", "5"),
        ("name=[1]", "name", "[1]"),
        ("name=", "name", ""),
        ("note=7", "note", 7),
        ("note=seven", "note", "seven"),
        ("drop=0.25", "drop", 0.25),
        ("drop=[0, 0.5]", "drop", (0.0, 0.5)),
        ('pair=[2, "b"]', "pair", (2, "b")),
        ("pair.1=c", "pair", (1, "c")),
        ('words=["x", "y"]', "words", ("x", "y")),
        ("words.1=z", "words", ("a", "z")),
        ("adapter=mlp", "adapter", Mlp()),
        ('adapter={"component": "mlp", "width": 2}', "adapter", Mlp(width=2)),
        ("adapter.inner=mlp", "adapter", Stack(inner=Mlp())),
        ("adapter.inner.scales=[1]", "adapter", Stack(inner=Stack(scales=(1.0,)))),
        ("spare=null", "spare", None),
        ("spare.width=2", "spare", Mlp(width=2)),
        ("adapters.1=mlp", "adapters", (Mlp(), Mlp())),
        ("adapters.0.width=2", "adapters", (Mlp(width=2), Stack())),
        ("parts.1.weight=3", "parts", (Part(), Part(path="there", weight=3.0))),
        ("table.x=4", "table", {"x": 4.0}),
        ("anything=[1]", "anything", [1]),
    ],
)
def test_override(assignment, path, expected):
    changed = override(RUN, [assignment])
    value = getattr(changed, path)
    assert value == expected
    assert type(value) is type(expected)
    untouched = {f.name for f in dataclasses.fields(Run) if f.init} - {path}
    assert all(getattr(changed, name) == getattr(RUN, name) for name in untouched)


def test_overrides_apply_in_order():
    assert override(RUN, ["adapter=mlp", "adapter.width=7"]).adapter == Mlp(width=7)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "expected path=value"),
        ("=3", "expected path=value"),
        ("stepz=1", "unknown config path 'stepz'; did you mean 'steps'"),
        ("adapter.wdth=1", r"unknown config path 'adapter.wdth'.* choices: adapter.inner, adapter.scales"),
        ("steps=2.5", "steps: expected int, got 2.5"),
        ("steps=true", "steps: expected int, got true"),
        ("steps=many", 'steps: expected int, got "many"'),
        ("rate=NaN", "rate: expected a finite number"),
        ("rate=Infinity", "rate: expected a finite number"),
        ("fast=1", "fast: expected bool, got 1"),
        ("mode=scam", "unknown value for 'mode' 'scam'; did you mean 'scan'"),
        ("mode=true", "unknown value for 'mode'"),
        ("name=null", "name: expected str, got null"),
        ("drop=half", "drop: expected float"),
        ("pair=[1]", "pair: expected a list of 2"),
        ("words=x", "words: expected a list"),
        ("words.2=x", "unknown config path 'words.2'"),
        ("words.-1=x", "unknown config path 'words.-1'"),
        ("adapter=mpl", "unknown adapter 'mpl'; did you mean 'mlp'"),
        ("adapter=3", "adapter: expected the name of one of the adapters"),
        ("adapter.inner.inner.inner=mlp", "unknown config path"),
        ('adapter={"component": "mlp", "wide": 2}', "unknown config path 'adapter.wide'"),
        ("spare.width=0", "spare.width: width must be at least 1"),
        ('spare={"component": "mlp", "width": 0}', "spare: width must be at least 1"),
        ("limit.x=3", "'limit' holds 3, which has no fields"),
        ("table.y=3", "unknown config path 'table.y'"),
        ("derived=3", "unknown config path 'derived'"),
    ],
)
def test_override_errors(assignment, message):
    with pytest.raises(UserError, match=message) as caught:
        override(RUN, [assignment])
    assert "\n" not in str(caught.value)


def test_missing_field():
    with pytest.raises(UserError, match="Run: missing name"):
        from_dict(Run, {"steps": 3})


def test_text_that_is_not_json():
    with pytest.raises(UserError, match="not JSON"):
        from_json(Run, "{")


def test_component_of_another_class():
    class Other(ComponentConfig, kind="adapters"):
        pass

    with pytest.raises(UserError, match=r"slot: component 'mlp' of kind adapters is .*not a subclass of"):
        from_dict(Other, "mlp", "slot")


def test_unregistered_class_says_how_to_register():
    with pytest.raises(UserError, match=r"Unregistered is not registered: return Component\("):
        to_json(Run(name="r", adapter=Unregistered()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_values_that_json_cannot_hold(value):
    with pytest.raises(UserError, match="cannot be written as configuration"):
        to_json(Run(name="r", anything=value))


def test_text_ends_with_a_newline_and_is_indented():
    text = to_json(Run(name="r"))
    assert text.endswith("}\n")
    assert json.loads(text)["name"] == "r"

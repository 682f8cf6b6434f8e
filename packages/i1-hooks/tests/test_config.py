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
from i1_hooks.config import check_round_trip


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


@pytest.mark.parametrize("component", [3, 2.5, True, None, [], ["mlp"], {}, {"mlp": 1}])
def test_a_component_that_is_no_string_is_named(component):
    with pytest.raises(
        UserError, match=r"^adapter\.component: expected the name of one of the adapters, got"
    ):
        from_dict(Run, {"name": "r", "adapter": {"component": component}})


def test_the_advised_name_of_a_component_is_taken():
    assert from_dict(Run, {"name": "r", "adapter": {"component": "mlp"}}).adapter == Mlp()


HUGE = 10**5000
ODD = [
    *(None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**400, HUGE),
    *(0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *("", "x" * 10**6, "\0", "\ud800", "a\nb", "mlp", [], [[]], [None], [1] * 10_000, {}, {"": 1}),
    *({"component": "mlp"}, {"component": "mlp", "width": HUGE}, {"component": []}, [[[[[[[[[[1]]]]]]]]]]),
    *(b"bytes", {1, 2}, object()),
]


def refusal(action):
    """Returns the message of the `UserError` that an action ends with, nothing when it succeeds."""
    try:
        action()
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Run) if f.init])
def test_odd_values_of_every_type_give_a_value_or_one_short_line(field):
    refused = 0
    for value in ODD:
        message = refusal(lambda value=value: from_dict(Run, {"name": "r", field: value}))
        refused += bool(message)
        assert not message or field in message
        assert "\n" not in message
        assert len(message) < 1000
    assert refused > 20 or field == "anything"


@pytest.mark.parametrize("path", ["steps", "rate", "name", "anything", "words", "adapter", "adapter.inner"])
def test_odd_text_of_assignments_gives_a_value_or_one_short_line(path):
    for text in [
        "1" * 5000,
        "[" * 10**5,
        "{" * 10**5,
        '"' * 9,
        "\0",
        "-",
        "1e400",
        '{"component": 3}',
        "\ud800",
    ]:
        assert len(refusal(lambda text=text: override(RUN, [f"{path}={text}"]))) < 1000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1, float("nan")]}, "anything.a.1: expected a finite number, got NaN"),
        ([[-float("inf")]], "anything.0.0: expected a finite number, got -Infinity"),
        ({"b": 2**63}, "anything.b: expected an integer of 64 bits"),
        ({"c": b"x"}, "anything.c: expected data that JSON can hold"),
    ],
)
def test_free_data_holds_what_json_can_hold(data, message):
    with pytest.raises(UserError, match=message):
        from_dict(Run, {"name": "r", "anything": data})


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, HUGE], ids=["above", "below", "huge"])
def test_integers_have_64_bits(value):
    with pytest.raises(UserError, match="steps: expected an integer of 64 bits, got"):
        from_dict(Run, {"name": "r", "steps": value})
    with pytest.raises(UserError, match="rate: expected a finite number, got"):
        from_dict(Run, {"name": "r", "rate": value})
    assert from_dict(Run, {"name": "r", "steps": 2**63 - 1}).steps == 2**63 - 1


def one_field(annotation, **namespace):
    made = dataclasses.make_dataclass(
        "Odd", [("values", annotation)], frozen=True, kw_only=True, namespace=namespace
    )
    made.__module__ = __name__
    return made


@pytest.mark.parametrize(
    ("annotation", "fix"),
    [
        (list[int], r"use tuple\[int, \.\.\.\]"),
        (list, r"use tuple\[int, \.\.\.\]"),
        (set[str], r"use tuple\[str, \.\.\.\]"),
        (list[int] | None, r"use tuple\[int, \.\.\.\]"),
        (tuple[list[float], ...], r"use tuple\[float, \.\.\.\]"),
        (tuple, r"use tuple\[int, \.\.\.\]"),
        (dict[int, str], "use str for its keys"),
        (dict[str, list[int]], r"use tuple\[int, \.\.\.\]"),
        (bytes, "use bool, int, float, str, Literal"),
        (complex, "use bool, int, float, str, Literal"),
        (Literal[b"x"], "use strings or numbers in a Literal"),
        (ComponentConfig, "declare the kind of that base class"),
        ("OnlyForTypeCheckers", "cannot be resolved, name 'OnlyForTypeCheckers' is not defined; import it"),
    ],
)
def test_a_field_that_json_cannot_give_back_is_refused_at_first_use(annotation, fix):
    odd = one_field(annotation)
    for use in (
        lambda: from_dict(odd, {"values": [1]}),
        lambda: override(odd(values=[1]), ["values=[1]"]),
        lambda: check_round_trip(odd(values=[1])),
    ):
        with pytest.raises(UserError, match=rf"^{__name__}\.Odd.*{fix}"):
            use()


@pytest.mark.parametrize("annotation", [tuple[int, ...], tuple[int, ...] | None])
def test_the_advised_type_of_a_list_is_taken(annotation):
    fine = one_field(annotation)
    check_round_trip(fine(values=(1, 2)))
    assert from_dict(fine, {"values": [1, 2]}) == fine(values=(1, 2))


def test_a_class_that_is_no_dataclass_is_named():
    plugin = SimpleNamespace(i1_adapters=hookimpl(lambda: [PLAIN]))
    made = Registry([("t", "d", "1", lambda: plugin)], strict=True)
    with pytest.raises(UserError, match=r"NotADataclass is not a dataclass: write @dataclass\(frozen=True"):
        from_dict(Adapter, "plain", "slot", made)


class NotADataclass(Adapter):
    pass


PLAIN = Component("plain", f"{NotADataclass.__module__}:NotADataclass", "not a dataclass")


@pytest.mark.parametrize("error", [ZeroDivisionError, OverflowError, TypeError, AttributeError])
def test_a_check_that_fails_otherwise_names_class_and_path(error):
    def check(self):
        raise error("in the check")

    odd = one_field(int, __post_init__=check)
    outer = one_field(odd)
    with pytest.raises(
        UserError, match=rf"^values: {__name__}\.Odd cannot be made of .*{error.__name__}: in the"
    ):
        from_dict(outer, {"values": {"values": 3}})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            Run(name="r", words=["a"]),
            r"words: \['a'\] becomes \('a',\) when .* JSON and read back; give the field",
        ),
        (Run(name="r", adapters=(Stack(scales=[1.0]),)), r"adapters\.0\.scales: \[1\.0\] becomes \(1\.0,\)"),
        (Run(name="r", anything=(1, 2)), r"anything: \(1, 2\) becomes \[1, 2\]"),
        (Run(name="r", steps=2.5), r"steps: expected int, got 2\.5"),
        (Run(name="r", rate=3), None),
        (Run(name="r", steps=2**70), "steps: expected an integer of 64 bits"),
        (Run(name="r", adapter=Unregistered()), "Unregistered is not registered"),
        (Run(name="r", rate=float("inf")), "inf cannot be written as configuration"),
    ],
)
def test_the_round_trip_names_the_field_that_changes(config, message):
    if message is None:
        check_round_trip(config)
        return
    with pytest.raises(UserError, match=message):
        check_round_trip(config)


def test_the_round_trip_of_a_component_goes_through_its_slot():
    check_round_trip(Stack(inner=Mlp(width=3)))
    check_round_trip(RUN)

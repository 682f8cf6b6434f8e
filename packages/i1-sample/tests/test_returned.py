"""Components that return something wrong are named, with what came and what was expected."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from i1_hooks import UserError
from i1_sample.guidances import GuidanceConfig
from i1_sample.rewriters import RewriterConfig
from i1_sample.solvers import SolverConfig
from i1_sample.time_grids import TimeGridConfig


@dataclass(frozen=True, kw_only=True)
class Grid(TimeGridConfig):
    wrong: str

    def times(self, num_steps):
        u = np.linspace(0, 1, num_steps + 1, dtype=np.float32)
        answers = {"short": u[:-1], "double": u.astype(float), "list": list(u), "back": u[::-1]}
        return answers.get(self.wrong, u * np.nan)


@dataclass(frozen=True, kw_only=True)
class Rewriter(RewriterConfig):
    answer: Any

    def rewrite(self, prompts):
        return self.answer


@dataclass(frozen=True, kw_only=True)
class Guidance(GuidanceConfig):
    wrong: str

    def combine(self, conditional, unconditional, scale, t):
        half = conditional.astype(jnp.bfloat16)
        return {"rows": conditional[:0], "half": half, "none": None}[self.wrong]


@dataclass(frozen=True, kw_only=True)
class Solver(SolverConfig):
    order: ClassVar[int] = 1
    wrong: str

    def step(self, velocity, x, carry, t, t_next):
        answers = {"state": x, "flat": (x.reshape(-1), carry), "carry": (x, x), "mean": (x.mean(), carry)}
        return answers[self.wrong]


STATE = "float32 (1, 4, 4, 48)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_grid": Grid(wrong="short")}, "times(3) returned float32 (3,), expected float32 (4,)"),
        ({"time_grid": Grid(wrong="double")}, "times(3) returned float64 (4,), expected float32 (4,)"),
        ({"time_grid": Grid(wrong="list")}, "times(3) returned list of"),
        ({"time_grid": Grid(wrong="back")}, "expected times that strictly increase from 0 to 1"),
        ({"time_grid": Grid(wrong="nan")}, "expected times that strictly increase from 0 to 1"),
        ({"rewriter": Rewriter(answer=[])}, "expected a list of 1 texts"),
        ({"rewriter": Rewriter(answer="a star")}, "expected a list of 1 texts"),
        ({"rewriter": Rewriter(answer=[None])}, "expected a list of 1 texts"),
        ({"guidance": Guidance(wrong="rows")}, f"returned float32 (0, 4, 4, 48), expected {STATE}"),
        ({"guidance": Guidance(wrong="half")}, f"returned bfloat16 (1, 4, 4, 48), expected {STATE}"),
        ({"guidance": Guidance(wrong="none")}, f"combine(...) returned None, expected {STATE}"),
        ({"solver": Solver(wrong="state")}, "expected a tuple of the state and the carry"),
        ({"solver": Solver(wrong="flat")}, f"step(...)[0] returned float32 (768,), expected {STATE}"),
        ({"solver": Solver(wrong="mean")}, f"step(...)[0] returned float32 (), expected {STATE}"),
        ({"solver": Solver(wrong="carry")}, f"step(...)[1] returned {STATE}, expected a carry like"),
    ],
)
def test_a_component_that_returns_something_wrong_is_named(pipeline, options, message):
    (wrong,) = options.values()
    with pytest.raises(UserError, match=re.escape(message)) as error:
        pipeline("a star", **options)
    assert f"{type(wrong).__name__!r} ({__name__})" in str(error.value)

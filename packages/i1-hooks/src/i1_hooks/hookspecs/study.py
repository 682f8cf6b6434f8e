"""Hooks for what i1-study is made of."""

from __future__ import annotations

from collections.abc import Iterable

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_studies() -> Iterable[Component]:
    """Returns studies: controlled sets of recipes that differ in one axis.

    Each is an `i1_study.base.StudyConfig`.

    Example:
        from dataclasses import dataclass

        from i1_hooks import Component, hookimpl, override
        from i1_study.base import Arm, StudyConfig
        from i1_study.recipe import baseline


        @dataclass(frozen=True, kw_only=True)
        class DepthStudy(StudyConfig):
            '''Do more blocks help?'''

            depths: tuple[int, ...] = (5, 7)

            def arms(self):
                return tuple(
                    Arm(name=f"{n} blocks", recipe=override(baseline(), [f"model.backbone.depth={n}"]))
                    for n in self.depths
                )


        @hookimpl
        def i1_studies():
            return [Component("depth", f"{__name__}:DepthStudy", "how many blocks")]
    """
    raise AssertionError("a specification is never called")

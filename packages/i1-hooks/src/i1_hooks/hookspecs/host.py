"""Hooks of the host side: the commands of `i1`, and the life of a training run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from i1_hooks.component import Component
from i1_hooks.hookspecs.markers import hookspec


@hookspec
def i1_commands() -> Iterable[Component]:
    """Returns commands: functions that take the arguments after the command's name and return an exit status.

    A command prints its results, raises `UserError` for a mistake of the user, and returns 0 on success. It
    parses its arguments before it imports anything heavy.

    Example:
        from i1_hooks import CommandParser, Component, get_registry, hookimpl


        def count(argv):
            '''Prints how many components of a kind are installed.'''
            parser = CommandParser(prog="i1 count")
            parser.add_argument("kind")
            print(len(get_registry().components(parser.parse_args(argv).kind)))
            return 0


        @hookimpl
        def i1_commands():
            return [Component("count", f"{__name__}:count", "count the components of a kind")]
    """
    raise AssertionError("a specification is never called")


@hookspec
def i1_run_started(workdir: Path, recipe: str, step: int) -> None:
    """Called on every host when a training run starts or resumes, before its first step.

    Args:
        workdir: the run's folder.
        recipe: the name of the run's recipe.
        step: the number of finished steps; 0 unless the run resumes.

    Example:
        from i1_hooks import hookimpl


        @hookimpl
        def i1_run_started(workdir, recipe, step):
            with (workdir / "starts.txt").open("a") as file:
                print(recipe, step, file=file)
    """


@hookspec
def i1_checkpoint_saved(workdir: Path, model: Path, step: int, prompts: tuple[str, ...]) -> None:
    """Called on the first host when a checkpoint is complete.

    Args:
        workdir: the run's folder.
        model: a folder that sampling can load.
        step: the number of finished steps.
        prompts: the recipe's preview prompts.

    Example:
        import shutil

        from i1_hooks import hookimpl


        @hookimpl
        def i1_checkpoint_saved(workdir, model, step):
            shutil.copytree(model, workdir / "every_model" / str(step), dirs_exist_ok=True)
    """


@hookspec
def i1_run_finished(workdir: Path, step: int, status: str) -> None:
    """Called on every host when a run ends.

    Args:
        workdir: the run's folder.
        step: the number of finished steps.
        status: `"done"`, `"interrupted"` or `"failed"`.

    Example:
        from i1_hooks import hookimpl


        @hookimpl
        def i1_run_finished(workdir, step, status):
            (workdir / "ended.txt").write_text(f"{status} after {step} steps")
    """

"""The `i1` command: global flags, dispatch to the commands of plugins, errors as one line."""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from i1_hooks.errors import UserError, unknown
from i1_hooks.registry import Registry, get_registry, make_registry, use_registry
from i1_hooks.text import one_line

HELP = ("-h", "--help")
EPILOG = """\
options:
  -h, --help     show this help and exit; `i1 COMMAND --help` shows the options of a command
  --version      show the version and exit
  --plugin FILE  load an unpackaged plugin file; may be given several times, anywhere on the line
  --debug        show the traceback of an error; anywhere on the line"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one `i1` command line.

    Args:
        argv: the arguments after the program's name; those of the process by default.

    Returns:
        0 on success, 2 for a mistake of the user (`UserError`, or what argparse refuses), 1 otherwise.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in _before_separator(arguments)
    try:
        files, rest = split_global_flags(arguments)
        registry = make_registry(files) if files else get_registry()
        for warning in registry.warnings:
            print(f"i1: warning: {one_line(warning)}", file=sys.stderr)
        with use_registry(registry):
            return run(registry, rest)
    except UserError as error:
        return _report(f"i1: error: {one_line(error)}", 2, debug)
    except SystemExit as stop:
        return _exit_status(stop)
    except KeyboardInterrupt:
        return _report("i1: interrupted", 1, debug)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has closed it; at exit Python would complain about that
        return 1
    except Exception as error:  # the last resort: a bug of ours or of a plugin
        hint = "" if debug else "; run again with --debug for the traceback"
        return _report(f"i1: internal error: {type(error).__name__}: {one_line(error)}{hint}", 1, debug)


def run(registry: Registry, arguments: list[str]) -> int:
    """Runs the command that `arguments` name; the global flags are not among them.

    Raises:
        UserError: for an unknown command or option.
    """
    if not arguments or arguments[0] in HELP:
        print(help_text(registry))
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "--version":
        print(f"i1 {importlib.metadata.version('i1-hooks')}")
        return 0
    if name.startswith("-"):
        raise unknown("option", name, ["--help", "--version", "--plugin", "--debug"])
    command: Callable[[list[str]], int] = registry.load("commands", name)
    return command(rest)


def help_text(registry: Registry) -> str:
    """Returns what `i1 --help` prints; no component is imported."""
    commands = {
        name: found.component.summary for name, found in sorted(registry.components("commands").items())
    }
    width = max(len(name) for name in commands)
    lines = [f"  {name:<{width}}  {summary}" for name, summary in commands.items()]
    usage = "usage: i1 [--plugin FILE] [--debug] COMMAND ..."
    return "\n".join([usage, "", "Pictures from text, in JAX.", "", "commands:", *lines, "", EPILOG])


def split_global_flags(arguments: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Takes `--plugin FILE` (repeatable) and `--debug` out of a command line.

    What follows `--` is not searched.

    Returns:
        The plugin files, and the other arguments in order.

    Raises:
        UserError: for `--plugin` without a file.
    """
    head = _before_separator(arguments)
    files, rest = [], []
    remaining = iter(head)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag == "--plugin":
            file = value if equals else next(remaining, "")
            if not file:
                raise UserError("--plugin needs a file, as in --plugin my_plugin.py")
            files.append(Path(file))
        elif argument != "--debug":
            rest.append(argument)
    return files, [*rest, *arguments[len(head) :]]


def _before_separator(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _report(line: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(line, file=sys.stderr)
    return status


def _exit_status(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code
    print(stop.code, file=sys.stderr)
    return 1

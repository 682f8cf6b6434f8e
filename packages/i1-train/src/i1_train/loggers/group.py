"""The loggers of a run as one; a logger of a plugin that fails is left out, and the run goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from i1_hooks import get_registry

from i1_train.loggers.base import Logger, LoggerConfig
from i1_train.loggers.jsonl import Jsonl


class LoggerGroup(Logger):
    """Passes everything on to several loggers; `metrics.jsonl` is always among them.

    That file is the record of the run: when it cannot be written, the run ends. Any other logger that raises
    is named in a warning and hears no more.

    Args:
        configs: the recipe's loggers.
        workdir: of the run.
        step: how many steps are finished.

    Raises:
        UserError: for a logger that cannot be opened.
    """

    def __init__(self, configs: Sequence[LoggerConfig], workdir: Path, step: int) -> None:
        self._record = Jsonl().build(workdir, step)
        others = [config for config in configs if config != Jsonl()]
        self._others = [(_name(config), config.build(workdir, step)) for config in others]

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes a step."""
        self._record.log(step, metrics)
        self._tell(lambda logger: logger.log(step, metrics))

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Writes a picture."""
        self._tell(lambda logger: logger.log_image(step, name, file))

    def flush(self) -> None:
        """Makes sure that nothing is lost with the process."""
        self._record.flush()
        self._tell(lambda logger: logger.flush())

    def close(self) -> None:
        """Closes all."""
        self._record.close()
        self._tell(lambda logger: logger.close())

    def _tell(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._others):
            try:
                call(logger)
            except (
                Exception
            ) as error:  # a plugin may fail in any way, and training is worth more than its log
                self._others.remove((name, logger))
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                print(
                    f"i1: warning: logger {name!r} failed and is left out from here on: {reason}",
                    file=sys.stderr,
                )


def _name(config: LoggerConfig) -> str:
    return get_registry().name_of(type(config))


class Quiet(Logger):
    """Writes nothing: what the hosts but the first have."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Does nothing."""

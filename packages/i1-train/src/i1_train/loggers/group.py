"""All loggers of a run as one; a plugin's logger that fails is dropped, and the run continues."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from i1_hooks import UserError, get_registry
from i1_hooks.returned import wrong_return
from i1_hooks.text import one_line

from i1_train.loggers.base import Logger, LoggerConfig
from i1_train.loggers.jsonl import Jsonl


class LoggerGroup(Logger):
    """Passes everything to several loggers; `metrics.jsonl` is always one of them.

    That file is the record of the run: if it cannot be written, the run ends. Any other logger that raises is
    named in a warning and is not called again.

    Args:
        configs: the loggers of the recipe.
        workdir: workdir of the run.
        step: number of finished steps.

    Raises:
        UserError: for a logger that cannot be opened.
    """

    def __init__(self, configs: Sequence[LoggerConfig], workdir: Path, step: int) -> None:
        self._record = Jsonl().build(workdir, step)
        self._others: list[tuple[str, Logger]] = []
        try:
            for config in configs:
                if config != Jsonl():
                    self._others.append((_name(config), _open(config, workdir, step)))
        except UserError:
            self.close()
            raise

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs a step."""
        self._record.log(step, metrics)
        self._tell(lambda logger: logger.log(step, metrics))

    def log_image(self, step: int, name: str, file: Path) -> None:
        """Logs an image."""
        self._tell(lambda logger: logger.log_image(step, name, file))

    def flush(self) -> None:
        """Makes sure that nothing is lost with the process."""
        self._record.flush()
        self._tell(lambda logger: logger.flush())

    def close(self) -> None:
        """Closes all loggers."""
        self._record.close()
        self._tell(lambda logger: logger.close())

    def _tell(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._others):
            try:
                call(logger)
            except Exception as error:  # a plugin may fail in any way; training matters more than its log
                self._others.remove((name, logger))
                print(
                    f"i1: warning: logger {name!r} failed and is not used from here on: {_reason(error)}",
                    file=sys.stderr,
                )


def _open(config: LoggerConfig, workdir: Path, step: int) -> Logger:
    try:
        logger = config.build(workdir, step)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"logger {_name(config)!r} cannot be opened: {_reason(error)}") from error
    if not isinstance(logger, Logger):
        raise wrong_return(config, "build(...)", logger, "an i1_train.loggers.base.Logger")
    return logger


def _reason(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")


def _name(config: LoggerConfig) -> str:
    return get_registry().name_of(type(config))


class NoLogger(Logger):
    """The logger of every host but the first, which writes nothing."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Ignores a step."""

"""Bad steps on the host: stop the run, or record which batch was skipped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from i1_hooks import UserError
from i1_hooks.files import write_atomically
from i1_hooks.text import one_line

from i1_train.guard import SKIPPED, SPIKE
from i1_train.loggers.jsonl import open_lines

FAILED_BATCH = "failed_batch.json"
SKIPPED_BATCHES = "skipped_batches.jsonl"


class BadStepError(RuntimeError):
    """The run stopped at a bad step."""


class NotFiniteError(BadStepError):
    """The loss or the gradient is not finite."""


class LossSpikeError(BadStepError):
    """The loss is far above the running mean."""


class BadSteps:
    """Checks the metrics of every step.

    Args:
        workdir: workdir of the run.
        step: number of finished steps. What an earlier process recorded after them is removed, since those
            steps will run again.
        host: number of this host; all but the first put it into the names of their files.
    """

    def __init__(self, workdir: Path, step: int, host: int = 0) -> None:
        self._failed = _of_host(workdir / FAILED_BATCH, host)
        self._skipped = _of_host(workdir / SKIPPED_BATCHES, host)
        if self._skipped.exists():
            open_lines(self._skipped, step).close()

    def check(
        self, step: int, values: Mapping[str, float], keys: Sequence[str], captions: Sequence[str]
    ) -> None:
        """Records the batch of a bad step; accepts every other step.

        Args:
            step: number of the step.
            values: metrics of the step, at least `loss` and `grad_norm`.
            keys: keys of the records in its batch.
            captions: captions of its batch.

        Raises:
            NotFiniteError: for a loss or gradient that is not finite, unless the step was skipped.
            LossSpikeError: for a spike, unless the step was skipped.
        """
        finite = math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])
        if finite and not values.get(SPIKE) and not values.get(SKIPPED):
            return
        record = {
            "step": step,
            **{name: value if math.isfinite(value) else str(value) for name, value in values.items()},
            "key": list(keys),
            "caption": list(captions),
        }
        if values.get(SKIPPED):
            self._append(record)
            return
        write_atomically(self._failed, json.dumps(record, indent=2) + "\n")
        found = f"loss {values['loss']:.6g}, gradient norm {values['grad_norm']:.6g} at step {step}"
        ending = (
            f"stopped without saving; the keys of its batch are in {one_line(self._failed)}; lower the "
            "learning rate or look"
        )
        if finite:
            raise LossSpikeError(
                f"loss spike: {found}: {ending} at its images, or skip it with --set guard.on_spike=skip"
            )
        raise NotFiniteError(
            f"{found}: {ending} at its images, or skip it with --set guard.on_nonfinite=skip"
        )

    def _append(self, record: Mapping[str, object]) -> None:
        try:
            with self._skipped.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self._skipped}: {error.strerror}") from error


def _of_host(path: Path, host: int) -> Path:
    return path.with_name(f"{path.stem}.{host}{path.suffix}") if host else path

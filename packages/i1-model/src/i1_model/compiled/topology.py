"""The devices of a TPU slice that this machine does not have, for compilation only."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from i1_hooks import UserError

from i1_model.ops.chips import CHIPS, find_chip

_TOPOLOGY = re.compile(r"(v\w+):(\d+)x(\d+)(?:x(\d+))?")
_ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
}
"""Keeps libtpu from querying its environment and from locking chips."""


def topology_devices(name: str) -> Sequence[Any]:
    """Returns the devices of a topology such as `v5p:4x4x4`; none of them can run anything.

    Raises:
        UserError: for a name that is not a topology, an unknown chip, or without libtpu.
    """
    match = _TOPOLOGY.fullmatch(name)
    if not match:
        raise UserError(
            f"topology {name!r}: write the chip and the slice's shape, as in v5p:4x4x4 or v6e:8x8; chips are "
            f"{', '.join(CHIPS)}"
        )
    find_chip(match[1])
    spec = importlib.util.find_spec("libtpu")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("compiling for a TPU needs libtpu: pip install 'i1-model[tpu-compile]'")
    library = Path(next(iter(spec.submodule_search_locations))) / "libtpu.so"
    os.environ.setdefault("TPU_LIBRARY_PATH", str(library))
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    from jax.experimental import topologies

    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    except (ValueError, RuntimeError) as error:
        raise UserError(f"topology {name!r}: {str(error).splitlines()[0]}") from error

"""Prints what the bits of pictures and losses depend on besides the code."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path


def environment() -> dict[str, object]:
    """Returns the compiler, its flags, and the processor that it compiles for."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    found = re.search(r"^flags\s*: (.*)$", text, re.MULTILINE)
    instructions = sorted(f for f in (found[1].split() if found else ()) if re.match("avx|fma|amx", f))
    return {
        "jaxlib": importlib.metadata.version("jaxlib"),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "machine": platform.machine(),
        "instructions": instructions,
    }


if __name__ == "__main__":
    print(json.dumps(environment(), indent=1))

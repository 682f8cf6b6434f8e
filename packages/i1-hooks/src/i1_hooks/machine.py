"""Facts about this machine, gathered without importing more than is installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

DISTRIBUTIONS = (
    *("i1-hooks", "i1-scenes", "i1-model", "i1-data", "i1-train", "i1-sample", "i1-bench", "i1-study"),
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "scipy", "pillow"),
    *("safetensors", "transformers", "torch"),
)
VARIABLES = ("JAX_", "XLA_", "NNX_", "TPU_", "LIBTPU", "CUDA_", "NVIDIA_", "HF_", "I1_")
HARDWARE = {"an NVIDIA GPU": ("/dev/nvidia0", "cuda13"), "a TPU": ("/dev/accel0", "tpu")}


def platform_facts() -> dict[str, str]:
    """Returns the Python and the operating system."""
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "cores": str(os.cpu_count()),
    }


def version_of(distribution: str) -> str | None:
    """Returns the installed version of a distribution, `None` when it is absent."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Returns the version of every package that i1 may use, `None` for the absent ones."""
    return {name: version_of(name) for name in DISTRIBUTIONS}


def devices() -> dict[str, Any]:
    """Returns what jax finds, and the accelerators that the operating system shows.

    Returns:
        `found`: a list of id, platform, kind and memory in bytes (`None`: jax does not know); `error`: why
        jax failed, or `None`; `hardware`: accelerators with device files, and the jax extra that drives them.
    """
    hardware = {name: extra for name, (file, extra) in HARDWARE.items() if Path(file).exists()}
    report: dict[str, Any] = {"found": [], "error": None, "hardware": hardware}
    if version_of("jax") is None:
        return report
    try:
        found = importlib.import_module("jax").devices()
    except Exception as error:  # a broken driver or installation fails in any way; that is what we report
        report["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        return report
    for device in found:
        memory = device.memory_stats() or {}
        report["found"].append(
            {
                "id": device.id,
                "platform": device.platform,
                "kind": device.device_kind,
                "memory_bytes": memory.get("bytes_limit"),
                "memory_used_bytes": memory.get("bytes_in_use"),
            }
        )
    return report


def host_memory() -> dict[str, int]:
    """Returns the total and the free memory of the host in bytes."""
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        "total_bytes": page * os.sysconf("SC_PHYS_PAGES"),
        "free_bytes": page * os.sysconf("SC_AVPHYS_PAGES"),
    }


def folders() -> dict[str, dict[str, Any]]:
    """Returns the working folder and the cache folders: path, size, free disk, and what sets them."""
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    compilation = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(home_cache / "i1" / "jax"))
    hugging_face = os.environ.get("HF_HOME") or home_cache / "huggingface"
    found = {"working folder": _folder(Path.cwd(), "", measure=False)}
    if compilation:  # an empty variable turns the cache off
        set_by = " with the JAX_COMPILATION_CACHE_DIR variable"
        found["jax compilation cache"] = _folder(Path(compilation), set_by)
    found["Hugging Face cache"] = _folder(Path(hugging_face), " with the HF_HOME variable")
    return found


def _folder(path: Path, set_by: str, *, measure: bool = True) -> dict[str, Any]:
    existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return {
        "path": str(path),
        "exists": path.is_dir(),
        "writable": existing.is_dir() and os.access(existing, os.W_OK),
        "size_bytes": folder_size(path) if measure and path.is_dir() else 0,
        "free_bytes": shutil.disk_usage(existing).free,
        "set_by": set_by,
    }


def folder_size(path: Path) -> int:
    """Returns the bytes of all files under a folder, links not followed."""
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(path) for name in names)


def extras() -> list[dict[str, Any]]:
    """Returns every optional extra of the installed i1 packages, and which of its requirements are absent."""
    found = []
    for distribution in (name for name in DISTRIBUTIONS if name.startswith("i1-")):
        if version_of(distribution) is None:
            continue
        metadata = importlib.metadata.metadata(distribution)
        for extra in metadata.get_all("Provides-Extra") or []:
            needed = _requirements(importlib.metadata.requires(distribution) or [], extra)
            missing = [name for name in needed if version_of(name) is None]
            install = f"pip install '{distribution}[{extra}]'"
            found.append(
                {"distribution": distribution, "extra": extra, "missing": missing, "install": install}
            )
    return found


def _requirements(lines: list[str], extra: str) -> list[str]:
    names = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        name = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
        if name and re.search(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""", marker):
            names.append(name.group())
    return names


def environment() -> dict[str, str]:
    """Returns the environment variables that change how i1 runs; secrets show as `(set)`."""
    chosen = sorted(name for name in os.environ if name.startswith(VARIABLES))
    secret = re.compile("TOKEN|KEY|SECRET|PASSWORD")
    return {name: "(set)" if secret.search(name) else os.environ[name] for name in chosen}


def in_gib(size: int) -> str:
    """Returns a number of bytes in GiB for people."""
    return f"{size / 2**30:.1f} GiB"

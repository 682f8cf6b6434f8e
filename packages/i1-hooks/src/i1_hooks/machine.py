"""Facts about this machine; nothing is imported that is not installed."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import TypedDict

from i1_hooks.discovery import OWN
from i1_hooks.text import one_line

DISTRIBUTIONS = (
    *(f"i1-{name}" for name in OWN),
    *("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "scipy", "pillow"),
    *("safetensors", "transformers", "torch"),
)
VARIABLES = ("JAX_", "XLA_", "NNX_", "TPU_", "LIBTPU", "CUDA_", "NVIDIA_", "HF_", "I1_")
SECRET_NAME = re.compile("TOKEN|KEY|SECRET|PASS|AUTH|CREDENTIAL|COOKIE|PRIVATE|SESSION", re.IGNORECASE)
SECRET_VALUE = re.compile(
    r"(?P<before>://)[^/@\s]*(?=@)"  # the user and the password of an address
    r"|(?P<key>(?i:token|key|secret|password|passwd|signature|auth)\s*[=:]\s*)[^&\s,;]+"
    r"|\b(?:hf_|sk-|gh[pousr]_|github_pat_|xox[a-z]-|AKIA|eyJ)[\w.-]{8,}"  # tokens of known services
)
HARDWARE = {"an NVIDIA GPU": ("/dev/nvidia0", "cuda13"), "a TPU": ("/dev/accel0", "tpu")}


class DeviceFacts(TypedDict):
    """A device that jax found; memory is in bytes, `None` where jax does not know it."""

    id: int
    platform: str
    kind: str
    memory_bytes: int | None
    memory_used_bytes: int | None


class DevicesFacts(TypedDict):
    """What jax finds, and what the operating system shows."""

    found: list[DeviceFacts]
    error: str | None
    hardware: dict[str, str]


class FolderFacts(TypedDict):
    """A folder that i1 writes to."""

    path: str
    exists: bool
    writable: bool
    size_bytes: int
    free_bytes: int
    set_by: str


class ExtraFacts(TypedDict):
    """An optional extra of an installed package."""

    distribution: str
    extra: str
    missing: list[str]
    install: str


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


def devices() -> DevicesFacts:
    """Returns what jax finds, and the accelerators that the operating system shows.

    Returns:
        `found`: the devices; `error`: why jax failed, or `None`; `hardware`: accelerators that have a device
        file, each with the extra of jax that drives it.
    """
    hardware = {name: extra for name, (file, extra) in HARDWARE.items() if Path(file).exists()}
    report: DevicesFacts = {"found": [], "error": None, "hardware": hardware}
    if version_of("jax") is None:
        return report
    try:
        found = importlib.import_module("jax").devices()
    except (
        Exception
    ) as error:  # a broken driver or installation may fail in any way, which is what is reported
        report["error"] = one_line(f"{type(error).__name__}: {error}")
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


def folders() -> dict[str, FolderFacts]:
    """Returns the working folder and the cache folders, with sizes, free disk space and what sets them."""
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    compilation = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(home_cache / "i1" / "jax"))
    hugging_face = os.environ.get("HF_HOME") or home_cache / "huggingface"
    found = {"working folder": _folder(Path.cwd(), "", measure=False)}
    if compilation:  # an empty variable turns the cache off
        set_by = " with the JAX_COMPILATION_CACHE_DIR variable"
        found["jax compilation cache"] = _folder(Path(compilation), set_by)
    found["Hugging Face cache"] = _folder(Path(hugging_face), " with the HF_HOME variable")
    return found


def _folder(path: Path, set_by: str, *, measure: bool = True) -> FolderFacts:
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


def extras() -> list[ExtraFacts]:
    """Returns every optional extra of the installed i1 packages, and which of its requirements are absent."""
    found: list[ExtraFacts] = []
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
    """Returns the environment variables that change how i1 runs, without secrets."""
    chosen = sorted(name for name in os.environ if name.startswith(VARIABLES))
    return {name: without_secrets(name, os.environ[name]) for name in chosen}


def without_secrets(name: str, value: str) -> str:
    """Returns the value of an environment variable as it may be shown.

    A variable whose name speaks of a secret shows as `(set)`, as does a value, or the part of one, that looks
    like a password in an address, a token or a key.
    """
    if SECRET_NAME.search(name):
        return "(set)"
    return SECRET_VALUE.sub(lambda found: f"{found['before'] or found['key'] or ''}(set)", value)


def in_gib(size: int) -> str:
    """Returns a number of bytes in GiB for people."""
    return f"{size / 2**30:.1f} GiB"

"""The marks of specifications and implementations."""

from __future__ import annotations

import pluggy

PROJECT = "i1"

hookspec = pluggy.HookspecMarker(PROJECT)
"""Marks a specification."""

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of its name."""

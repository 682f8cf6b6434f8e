"""The body of a request for pictures, for the server's OpenAPI document."""

from __future__ import annotations

import dataclasses
from typing import Any

from i1_sample import SampleOptions
from i1_sample.schema import describe_options

from i1_server.requests import FIXED, OPTIONS


def describe_request() -> dict[str, Any]:
    """Returns the options of a request as `i1 schema` describes them, for forms."""
    return {name: about for name, about in describe_options()["sample"].items() if name in OPTIONS}


_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}


def _option(field: dataclasses.Field[Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": field.metadata["help"]}
    if field.metadata["kind"] is None:
        told["type"] = [_TYPES[str(field.type).partition(" ")[0]], "null"]
    for name, key in (("minimum", "low"), ("maximum", "high")):
        if field.metadata[key] is not None:
            told[name] = field.metadata[key]
    if field.metadata["choices"]:
        told["enum"] = [*field.metadata["choices"], None]
    return told


_PROPERTIES: dict[str, Any] = {
    "prompt": {"type": "string", "minLength": 1},
    "model": {"type": ["string", "null"]},
    "n": {"type": ["integer", "null"], "minimum": 1},
    "size": {"type": ["string", "null"], "description": "auto, or WIDTHxHEIGHT"},
    "response_format": {"enum": ["b64_json", "url", None]},
    "stream": {"type": ["boolean", "null"]},
    "partial_images": {"type": ["integer", "null"], "minimum": 0},
    "user": {"type": ["string", "null"]},
    **{name: {"enum": [*choices, None]} for name, choices in FIXED.items()},
    **{field.name: _option(field) for field in dataclasses.fields(SampleOptions) if field.name in OPTIONS},
}
GENERATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["prompt"],
                    "additionalProperties": False,
                    "properties": _PROPERTIES,
                }
            }
        },
    }
}
"""What FastAPI adds to the description of a route."""

"""Requests for pictures: fields of a body, checked."""

from __future__ import annotations

import dataclasses
import difflib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from i1_hooks import UserError
from i1_sample import SampleOptions
from i1_sample.option_checks import check_integer
from i1_sample.options import LARGEST_SEED
from i1_sample.prompts import check_prompt

from i1_server.bodies import check_text
from i1_server.errors import ApiError, named_field
from i1_server.limits import Limits

_NOT_OVER_HTTP = {
    "height",
    "width",
    "num_images_per_prompt",
    "batch_size",
    "rewriter",
    "strength",
}
"""Fields of `SampleOptions` that have another name here, or that belong to the server's side."""
OPTIONS = tuple(f.name for f in dataclasses.fields(SampleOptions) if f.name not in _NOT_OVER_HTTP)
"""Fields of `SampleOptions` that are fields of a request."""
FIXED = {
    "quality": ("auto", "standard"),
    "background": ("auto", "opaque"),
    "output_format": ("png",),
    "moderation": ("auto",),
}
"""Fields of OpenAI's API that have one meaning here, and the values that ask for it."""
FIELDS = ("prompt", "model", "n", "size", "response_format", "stream", "partial_images", "user")
"""The other fields of a request."""
ALIASES = {
    "height": "size",
    "width": "size",
    "num_images_per_prompt": "n",
    "solvers": "solver",
    "time_grids": "time_grid",
    "guidances": "guidance",
}
"""What the fields of a request are called in messages, where the names differ."""
_LARGEST_INTEGER = 2**63
_SIZE = re.compile(r"([1-9][0-9]{0,8})x([1-9][0-9]{0,8})")


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """A request for pictures of one prompt.

    Attributes:
        model: the name of a model that is served.
        prompt: what to draw.
        options: how; `num_images_per_prompt` is the number of pictures, and the seed is set.
        response_format: `b64_json` or `url`.
        stream: whether the answer is a stream of events.
        partial_images: previews of each picture.
        user: an identifier of the client's own, which jobs repeat.
    """

    model: str
    prompt: str
    options: SampleOptions
    response_format: str
    stream: bool
    partial_images: int
    user: str | None


def read_request(body: Mapping[str, Any], models: Sequence[str], limits: Limits) -> ImageRequest:
    """Returns the request that a body stands for.

    Args:
        body: the fields. Null means that a field is left out.
        models: names that are served; the first is the default.
        limits: what may be asked for.

    Raises:
        ApiError: naming the first field that is unknown or does not fit.
    """
    known = (*FIELDS, *OPTIONS, *FIXED)
    for name in body:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"choices: {', '.join(sorted(known))}"
            shown = name.encode("utf-8", "backslashreplace").decode()[:80]
            raise ApiError(400, f"unknown field {shown!r}; {hint}", param=shown, code="unknown_parameter")
    given = {name: value for name, value in body.items() if value is not None}
    for name, choices in FIXED.items():
        _choice(given, name, choices)
    if "prompt" not in given:
        raise ApiError(400, "prompt is missing; say what to draw", param="prompt", code="missing_parameter")
    prompt = _text(given, "prompt", limits.prompt_characters)
    if not prompt.strip():
        raise ApiError(400, "prompt is empty; say what to draw", param="prompt")
    for name in ("prompt", "negative_prompt"):
        _check_prompt(name, _text(given, name, limits.prompt_characters))
    height, width = _size(given)
    values = {name: given[name] for name in OPTIONS if name in given}
    for name, value in values.items():
        if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER:
            raise ApiError(400, f"{name} has {len(str(value))} digits; give a smaller number", param=name)
    values.setdefault("seed", secrets.randbelow(LARGEST_SEED + 1))
    try:
        options = SampleOptions(
            **values,
            height=height,
            width=width,
            num_images_per_prompt=_integer(given, "n", 1, low=1, high=limits.most_images),
        )
    except UserError as error:
        raise refused(error) from error
    return ImageRequest(
        model=find_model(_text(given, "model", 1000) or models[0], models),
        prompt=prompt,
        options=options,
        response_format=_choice(given, "response_format", ("b64_json", "url")),
        stream=_flag(given, "stream"),
        partial_images=_integer(given, "partial_images", 0, low=0, high=limits.most_previews),
        user=_text(given, "user", 1000) or None,
    )


def find_model(name: str, models: Sequence[str]) -> str:
    """Returns a name that is served.

    Raises:
        ApiError: for another name.
    """
    if name not in models:
        message = f"model {name!r} is not served here; choices: {', '.join(models)}"
        raise ApiError(404, message, param="model", code="model_not_found")
    return name


def refused(error: UserError) -> ApiError:
    """Returns the answer for options that i1-sample refuses, with the field that its message names."""
    return ApiError(400, str(error), param=named_field(str(error), ("prompt", *OPTIONS), ALIASES))


def check_size(height: int, width: int, resolution: int, limits: Limits) -> None:
    """Checks the size of a picture before anything is computed for it.

    Raises:
        ApiError: for a side beyond the limit.
    """
    most = limits.largest_side or 2 * resolution
    if max(height, width) > most:
        raise ApiError(400, f"size {width}x{height}: no side may be longer than {most}", param="size")


def check_steps(num_steps: int, limits: Limits) -> None:
    """Checks the number of steps, whether the request, a preset or the model chose it.

    Raises:
        ApiError: for more steps than the limit.
    """
    if num_steps > limits.most_steps:
        message = f"num_inference_steps {num_steps}: at most {limits.most_steps} are allowed"
        raise ApiError(400, message, param="num_inference_steps")


def _size(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    size = given.get("size", "auto")
    if size == "auto":
        return None, None
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if found is None:
        message = f"size must be auto or WIDTHxHEIGHT such as 512x512, got {size!r:.80}"
        raise ApiError(400, message, param="size")
    return int(found[2]), int(found[1])


def _check_prompt(name: str, text: str) -> None:
    try:
        check_prompt(text)
    except UserError as error:
        raise ApiError(400, str(error), param=name) from error


def _text(given: Mapping[str, Any], name: str, most: int) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise ApiError(400, f"{name} must be text, got {value!r:.80}", param=name)
    check_text(name, value, most)
    return value


def _integer(given: Mapping[str, Any], name: str, default: int, *, low: int, high: int) -> int:
    value = given.get(name, default)
    try:
        check_integer(name, value, low, high)
    except UserError as error:
        raise ApiError(400, str(error), param=name) from error
    return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise ApiError(400, f"{name} must be true or false, got {value!r:.80}", param=name)
    return value


def _choice(given: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, choices[0])
    if value not in choices:
        raise ApiError(
            400, f"{name} must be {' or '.join(choices)}, got {value!r:.80}", param=name, code="unsupported"
        )
    return value

"""Records as `tf.train.Example` features: what TFRecord and ArrayRecord files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from i1_hooks import UserError, unknown
from i1_hooks.files import decode_text

from i1_data.records.example import Feature, parse_example, serialize_example
from i1_data.sources.base import Record


def record_to_example(record: Record) -> bytes:
    """Returns an encoded record as an Example: `image`, `caption`, `image_name`, then its other fields.

    Raises:
        UserError: naming a field that holds neither text, bytes, numbers nor a list of one of these.
    """
    features: dict[str, Sequence[bytes] | Sequence[float] | Sequence[int]] = {
        "image": [cast("bytes", record["image"])],
        "caption": [caption.encode() for caption in record["captions"]],
        "image_name": [record["key"].encode()],
    }
    for name, value in record.items():
        if name not in ("image", "captions", "key"):
            features[name] = _values(name, value, record["key"])
    return serialize_example(features)


def _values(name: str, value: Any, key: str) -> Any:
    values: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    if all(isinstance(one, str) for one in values):
        return [one.encode() for one in values]
    if all(isinstance(one, bytes) for one in values) or all(isinstance(one, int) for one in values):
        return values
    if all(isinstance(one, (int, float)) for one in values):
        return [float(one) for one in values]
    raise UserError(f"record {key!r}: field {name!r} holds {value!r:.60}; expected text, bytes or numbers")


def record_from_example(data: bytes, where: str, *, image: str, caption: str, key: str) -> Record:
    """Returns the record in an Example; features besides image, captions and key keep their names.

    Args:
        data: the serialized Example.
        where: names the record in messages.
        image: feature of the encoded image.
        caption: feature of the captions.
        key: feature of the key.

    Raises:
        UserError: for bytes that are not an Example, and for a feature that is missing or of another type.
    """
    try:
        features = parse_example(data)
    except ValueError as error:
        raise UserError(f"{where}: {error}; fetch the file again") from error
    images, captions, keys = (_texts(features, name, where) for name in (image, caption, key))
    if len(images) != 1 or len(keys) != 1:
        raise UserError(f"{where}: expected one image and one key, got {len(images)} and {len(keys)}")
    others = {name: value for name, value in features.items() if name not in (image, caption, key)}
    record = {
        **others,
        "image": images[0],
        "captions": [decode_text(text, f"{where}, caption {number}") for number, text in enumerate(captions)],
        "key": decode_text(keys[0], f"{where}, key"),
    }
    return cast("Record", record)


def _texts(features: Mapping[str, Feature], name: str, where: str) -> list[bytes]:
    if name not in features:
        raise unknown(f"feature of {where}", name, features)
    values = [value for value in features[name] if isinstance(value, bytes)]
    if len(values) != len(features[name]):
        raise UserError(f"{where}: feature {name!r} holds numbers, expected bytes")
    return values

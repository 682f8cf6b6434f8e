"""What the pretrained text encoders share: a folder with weights, settings and a tokenizer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from i1_hooks import UserError, unknown
from jaxtyping import Float

from i1_model.arrays.json_object import read_json
from i1_model.arrays.loading import Progress, Sharding
from i1_model.text_encoders.base import TextEncoderConfig, Tokens
from i1_model.text_encoders.tokenizer import PromptTokenizer, read_tokenizer
from i1_model.text_encoders.weights import Layout, check_weights, load_weights, shapes

CONFIG_FILE = "config.json"
_LARGEST = 2**24
"""Largest number in a configuration."""
ConfigT = TypeVar("ConfigT", bound="PretrainedEncoder")


@dataclass(frozen=True, kw_only=True)
class PretrainedEncoder(TextEncoderConfig):
    """Base of the configurations of pretrained encoders.

    Attributes:
        path: folder with `config.json`, safetensors and `tokenizer.json`, as downloaded from `repository`.
        repository: where the weights are published, a repository on huggingface.co.
        dtype: dtype of the loaded weights and of the computation.
        num_tokens: the token budget of a prompt.
        width: channels of one embedding.
        pad_id: the id that fills a row.
        truncation: whether a longer prompt is cut to the budget with a warning, as the published encoders do;
            otherwise it is an error.
    """

    path: str | None = None
    repository: str
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    num_tokens: int
    width: int
    pad_id: int = 0
    truncation: bool = True

    licence: ClassVar[str]
    """The licence that one accepts before downloading."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Fields of each published size."""
    prefixes: ClassVar[tuple[str, ...]] = ("",)
    ignored: ClassVar[str] = r"(?!)"

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if not (value > 0 or (value == 0 and name == "pad_id")):
                raise UserError(f"{type(self).__name__}: {name} must be positive, got {value}")
            if value > _LARGEST:
                raise UserError(f"{type(self).__name__}: {name} must be at most {_LARGEST}, got {value}")

    @classmethod
    def preset(cls: type[ConfigT], name: str, **fields: Any) -> ConfigT:
        """Returns the configuration of a published size.

        Args:
            name: one of the keys of `presets`.
            **fields: further fields, for example `path`.

        Raises:
            UserError: for an unknown name.
        """
        if name not in cls.presets:
            raise unknown(f"preset of {cls.__name__}", name, cls.presets)
        return cls(**{**cls.presets[name], **fields})

    @classmethod
    def from_folder(cls: type[ConfigT], folder: str | Path, **fields: Any) -> ConfigT:
        """Returns a configuration with the sizes of a folder's `config.json`.

        Raises:
            UserError: when the file is absent, or of a model that this encoder cannot be.
        """
        return cls(**{"path": str(folder), **_settings(cls, Path(folder)), **fields})

    def at(self: ConfigT, folder: str | Path) -> ConfigT:
        """Returns this configuration with the weights, and the sizes, of a folder.

        Raises:
            UserError: as `from_folder`.
        """
        return dataclasses.replace(self, path=str(folder), **_settings(type(self), Path(folder)))

    @classmethod
    def settings(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the fields that a released `config.json` determines.

        Raises:
            KeyError: for an absent setting.
            UserError: for one that this encoder cannot do.
        """
        raise NotImplementedError(f"{cls.__qualname__} must define settings()")

    def layout(self) -> Layout:
        """Returns where each parameter is stored."""
        raise NotImplementedError(f"{type(self).__qualname__} must define layout()")

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Embeds tokens; pure and jittable.

        Args:
            params: what `load` returned.
            tokens: `ids` (B, T) int32 and `mask` (B, T) bool.

        Returns:
            (B, T, W) float32, the last hidden state after the final norm.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define encode()")

    def make_tokenizer(self, tokenizer: Any) -> PromptTokenizer:
        """Returns what turns prompts into ids, given a `tokenizers.Tokenizer`."""
        return PromptTokenizer(tokenizer, self.num_tokens, pad_id=self.pad_id, truncation=self.truncation)

    def shapes(self) -> Any:
        """Returns the parameters' shapes, a tree of `jax.ShapeDtypeStruct`, without any weights."""
        return shapes(self.layout(), self.dtype)

    def load(self, *, sharding: Sharding | None = None, progress: Progress | None = None) -> Any:
        """Reads the weights in `path`.

        Args:
            sharding: where each array goes; None is the default device.
            progress: receives how many bytes are read.

        Raises:
            UserError: without a path, or when the folder does not fit this configuration.
        """
        return load_weights(
            self._fitting_folder(),
            self.layout(),
            self.dtype,
            prefixes=self.prefixes,
            ignored=self.ignored,
            sharding=sharding,
            progress=progress,
        )

    def check(self) -> None:
        """Checks that the weights in `path` are whole and fit, without reading them.

        Raises:
            UserError: as `load`.
        """
        folder = self._fitting_folder()
        check_weights(folder, self.layout(), prefixes=self.prefixes, ignored=self.ignored)

    def build(self) -> PretrainedTextEncoder:
        """Returns the encoder with its tokenizer and weights; nothing is downloaded.

        Raises:
            UserError: without a path, which says what to download; or when the folder does not fit.
        """
        return self.build_with()

    def build_with(
        self, *, sharding: Sharding | None = None, progress: Progress | None = None
    ) -> PretrainedTextEncoder:
        """Returns the encoder as `build` does; arguments as for `load`."""
        tokenizer = self.make_tokenizer(read_tokenizer(self._folder()))
        return PretrainedTextEncoder(self, self.load(sharding=sharding, progress=progress), tokenizer)

    def build_abstract(self) -> PretrainedTextEncoder:
        """Returns the encoder with shapes in place of weights and an empty tokenizer; it reads no file."""
        return PretrainedTextEncoder(self, self.shapes(), EmptyTokenizer(self.num_tokens))

    def _fitting_folder(self) -> Path:
        """Returns the folder, whose `config.json` has these sizes."""
        folder = self._folder()
        found = _settings(type(self), folder)
        different = [
            f"{name} is {value} there and {getattr(self, name)} here"
            for name, value in found.items()
            if getattr(self, name) != value
        ]
        if different:
            raise UserError(
                f"{folder / CONFIG_FILE} is of another model: {', '.join(different)}; choose the preset "
                f"that fits ({', '.join(self.presets)}) or {type(self).__name__}.from_folder"
            )
        return folder

    def _folder(self) -> Path:
        where = f"https://huggingface.co/{self.repository}"
        if self.path is None:
            raise UserError(
                f"text encoder {self.repository} needs its weights: accept the licence ({self.licence}) at "
                f"{where}, download the repository, and set path to the folder"
            )
        folder = Path(self.path).expanduser()
        if not folder.is_dir():
            raise UserError(
                f"text encoder {self.repository}: path {self.path!r} is not a folder; set path to a download "
                f"of {where} ({self.licence})"
            )
        return folder


class EmptyTokenizer:
    """Returns an empty row for every prompt; for programs that are compiled without any files."""

    def __init__(self, num_tokens: int) -> None:
        self.num_tokens = num_tokens

    def __call__(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns zeros of the shapes that a tokenizer gives."""
        shape = (len(prompts), self.num_tokens)
        return {"ids": np.zeros(shape, np.int32), "mask": np.zeros(shape, bool)}


class PretrainedTextEncoder:
    """A pretrained encoder with its weights in memory.

    Args:
        config: the encoder.
        params: its weights, as `config.load` returns them.
        tokenizer: turns prompts into ids.
    """

    def __init__(
        self,
        config: PretrainedEncoder,
        params: Any,
        tokenizer: Callable[[Sequence[str]], dict[str, np.ndarray]],
    ) -> None:
        self.config = config
        self.params = params
        self.tokenizer = tokenizer
        self._encode = jax.jit(config.encode)

    def tokenize(self, prompts: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns `ids` (B, T) int32 and `mask` (B, T) bool; a prompt that is cut is logged as a warning."""
        return self.tokenizer(prompts)

    def encode(self, params: Any, tokens: Tokens) -> Float[jax.Array, "B T W"]:
        """Returns the embeddings (B, T, W) float32 of what `tokenize` returned; pure and jittable."""
        return self._encode(params, dict(tokens))


def arrays(tokens: Tokens) -> tuple[jax.Array, jax.Array]:
    """Returns ids (B, T) int32 and mask (B, T) bool."""
    return jnp.asarray(tokens["ids"], jnp.int32), jnp.asarray(tokens["mask"], bool)


def require(where: str, value: Any, *choices: Any) -> None:
    """Checks that the encoder implements a setting of `config.json`.

    Raises:
        UserError: when the value is none of the choices.
    """
    if value not in choices:
        expected = " or ".join(repr(choice) for choice in choices)
        raise UserError(f"{where} is {value!r}, this encoder does {expected}")


def rope_theta(data: Mapping[str, Any]) -> float:
    """Returns the rotary base of a `config.json`, old and new spelling.

    Raises:
        KeyError: when there is none.
        UserError: for scaled rotary positions.
    """
    parameters = data.get("rope_parameters") or {"rope_theta": data["rope_theta"]}
    scaling = data.get("rope_scaling") or parameters
    require("rope_type", scaling.get("rope_type", "default"), "default")
    return float(parameters["rope_theta"])


def _settings(cls: type[PretrainedEncoder], folder: Path) -> dict[str, Any]:
    path = folder / CONFIG_FILE
    data = read_json(path)
    try:
        return cls.settings(data)
    except KeyError as error:
        raise UserError(f"{path} lacks {error.args[0]!r}: it is not the model of {cls.__name__}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error

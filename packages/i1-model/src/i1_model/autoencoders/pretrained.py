"""The base of pretrained autoencoders, which are read from a folder in the layout of diffusers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from i1_hooks import UserError
from jax import Array
from jaxtyping import Float, PyTree

from i1_model.arrays.json_object import JsonObject, read_json
from i1_model.arrays.lazy import LazyArray
from i1_model.arrays.loading import ArrayReader, Progress, Sharding, total_bytes
from i1_model.arrays.safetensors import find_safetensors, safetensors_arrays
from i1_model.arrays.trees import check_shapes, flatten
from i1_model.autoencoders.base import AutoencoderConfig
from i1_model.autoencoders.tiling import map_tiles

_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}
"""Stored dense (out, in) becomes (in, out), convolution (out, in, row, column) (row, column, in, out)."""


@runtime_checkable
class LatentNetwork(Protocol):
    """A network between images and latents; attribute names are those of the stored parameters.

    Attributes:
        channels: channels of the latents.
        factor: pixels per latent position along each side.
    """

    channels: int
    factor: int

    def posterior(
        self, images: Float[Array, "B H W 3"]
    ) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Returns mean and log variance (B, H/f, W/f, C) of the latents of images (B, H, W, 3) in [-1, 1]."""
        ...

    def decode(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Returns images (B, h f, w f, 3) of latents (B, h, w, C) as the encoder's, not normalised."""
        ...

    def normalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the encoder's latents to those of the denoiser."""
        ...

    def denormalise(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """Maps the denoiser's latents to those of the decoder."""
        ...


@dataclass(frozen=True, kw_only=True)
class PretrainedAutoencoder(AutoencoderConfig):
    """Base of the configurations of pretrained autoencoders.

    Attributes:
        path: the folder with `config.json` and `diffusion_pytorch_model.safetensors`; None is allowed for a
            configuration that is never built.
        channels: channels of the latents.
        factor: pixels per latent position along each side.
        tile: side, in latent positions, of the tiles that larger pictures are encoded and decoded by, which
            bounds memory; each tile sees nothing of its surroundings, so values differ a little from the
            whole. None takes every picture as a whole.
        tile_overlap: latent positions that neighbouring tiles share at least.
        slicing: whether the pictures of a batch are encoded and decoded one after another, which bounds
            memory and changes values by rounding alone; for one device
            alone, because several would repeat the same work.
    """

    path: str | None = None
    channels: int = 16
    factor: int = 8
    tile: int | None = None
    tile_overlap: int = 16
    slicing: bool = False

    def __post_init__(self) -> None:
        for name in ("channels", "factor", "tile", "tile_overlap"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{type(self).__name__}: {name} must be 1 or more, got {value}")

    repository: ClassVar[str]
    """The repository on huggingface.co that publishes the weights, in its subfolder `vae`."""
    gated: ClassVar[bool] = False
    """Whether downloading them requires accepting a licence."""
    published: ClassVar[JsonObject]
    """The sizes in the published `config.json` that differ from the defaults."""

    def build(self) -> LoadedAutoencoder:
        """Returns the autoencoder with its weights.

        Raises:
            UserError: when the folder is absent, damaged, or holds another autoencoder.
        """
        return self.build_with()

    def build_with(
        self, *, sharding: Sharding | None = None, progress: Progress | None = None
    ) -> LoadedAutoencoder:
        """Returns the autoencoder as `build` does.

        Args:
            sharding: where each array goes; its path is the stored name with `/` for `.`.
            progress: called after each array.
        """
        graphdef, treedef, arrays = self._find()
        reader = ArrayReader(total_bytes(arrays.values()), sharding=sharding, progress=progress)
        values = [reader.read(path, array) for path, array in arrays.items()]
        return LoadedAutoencoder(self, graphdef, jax.tree.unflatten(treedef, values))

    def check(self) -> None:
        """Checks that the weights in `path` are whole and fit, without reading them.

        Raises:
            UserError: as `build`.
        """
        self._find()

    def _find(self) -> tuple[nnx.GraphDef, jax.tree_util.PyTreeDef, dict[str, LazyArray]]:
        """Returns the network's graph, the structure of its parameters, and their arrays."""
        page = f"https://huggingface.co/{self.repository}"
        how = f"accept its licence at {page} to download it" if self.gated else f"download it from {page}"
        where = f"the subfolder vae of {self.repository} ({how})"
        if self.path is None:
            raise UserError(f"{self.repository} autoencoder: set its field path to {where}")
        folder = Path(self.path)
        if not (folder / "config.json").is_file():
            raise UserError(f"autoencoder path {folder} has no config.json: it should be {where}")
        data = read_json(folder / "config.json")
        try:
            network = nnx.eval_shape(lambda: self.network(data))
        except UserError as error:
            raise UserError(f"{folder / 'config.json'}: {error}") from error
        if (network.channels, network.factor) != (self.channels, self.factor):
            raise UserError(
                f"{folder} has {network.channels} channels and factor {network.factor}, the configuration "
                f"says channels {self.channels} and factor {self.factor}"
            )
        graphdef, expected = nnx.split(network)
        return graphdef, jax.tree.structure(expected), _stored_arrays(folder, expected, self.stored)

    def build_abstract(self) -> LoadedAutoencoder:
        """Returns the autoencoder of the published sizes with the shapes of its weights; no file is read.

        Raises:
            UserError: for channels or a factor that are not the published ones.
        """
        network = nnx.eval_shape(lambda: self.network(dict(self.published)))
        if (network.channels, network.factor) != (self.channels, self.factor):
            raise UserError(
                f"{self.repository} autoencoder has {network.channels} channels and factor {network.factor}, "
                f"the configuration says channels {self.channels} and factor {self.factor}"
            )
        return LoadedAutoencoder(self, *nnx.split(network))

    def network(self, data: JsonObject) -> LatentNetwork:
        """Returns the network of a `config.json`, an `nnx.Module` whose parameters start at zero.

        Raises:
            UserError: for a `config.json` of another architecture.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define network()")

    @staticmethod
    def stored(arrays: Mapping[str, LazyArray]) -> dict[str, LazyArray]:
        """Returns the arrays of the network among the stored ones, by their names in the network."""
        return dict(arrays)


class LoadedAutoencoder:
    """A pretrained autoencoder in memory; see `i1_model.autoencoders.base.Autoencoder`.

    Args:
        config: the autoencoder.
        graphdef: the graph of its network.
        params: the parameters of its network.
    """

    def __init__(self, config: PretrainedAutoencoder, graphdef: nnx.GraphDef, params: PyTree) -> None:
        self.config = config
        self._graphdef = graphdef
        self.params = params

    def posterior(
        self, params: PyTree, images: Float[Array, "B H W 3"]
    ) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Returns mean and log variance (B, H/f, W/f, C), not normalised, of images (B, H, W, 3)."""
        return self._posterior(self.network(params), images)

    def network(self, params: PyTree) -> LatentNetwork:
        """Returns the network with these parameters."""
        return nnx.merge(self._graphdef, params)

    def encode(
        self, params: PyTree, images: Float[Array, "B H W 3"], key: Array | None = None
    ) -> Float[Array, "B h w C"]:
        """Encodes images.

        Args:
            params: the autoencoder's `params`.
            images: (B, H, W, 3) in [-1, 1].
            key: draws `mean + std * normal(key)` from the posterior; None takes the mean.

        Returns:
            Normalised latents (B, H/f, W/f, C).
        """
        network = self.network(params)
        latents, logvar = self._posterior(network, images)
        if key is not None:
            noise = jax.random.normal(key, latents.shape, latents.dtype)
            latents = latents + jnp.exp(0.5 * logvar) * noise
        return network.normalise(latents)

    def decode(self, params: PyTree, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Decodes normalised latents (B, h, w, C) to images (B, h f, w f, 3), nominally in [-1, 1]."""
        network = self.network(params)
        return self._map(network.decode, network.denormalise(latents), unit_out=self.config.factor)

    def _posterior(self, network: LatentNetwork, images: Array) -> tuple[Array, Array]:
        moments = self._map(
            lambda part: jnp.concatenate(network.posterior(part), axis=-1), images, unit_in=self.config.factor
        )
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return mean, logvar

    def _map(self, function: Callable[[Array], Array], batch: Array, **units: int) -> Array:
        config = self.config

        def by_tiles(part: Array) -> Array:
            return map_tiles(function, part, tile=config.tile, overlap=config.tile_overlap, **units)

        if not config.slicing:
            return by_tiles(batch)
        return jax.lax.map(lambda image: by_tiles(image[None])[0], batch)


def _stored_arrays(
    folder: Path, expected: PyTree, stored: Callable[[Mapping[str, LazyArray]], dict[str, LazyArray]]
) -> dict[str, LazyArray]:
    """Returns the arrays of a folder in float32 by path, in the order of the network's."""
    path = find_safetensors(folder, "diffusion_pytorch_model")
    arrays = {
        name: array.transpose(_AXES[len(array.shape)]) if len(array.shape) in _AXES else array
        for name, array in stored(safetensors_arrays(path)).items()
    }
    shapes = {name.replace("/", "."): tuple(leaf.shape) for name, leaf in flatten(expected).items()}
    try:
        check_shapes(shapes, arrays)
    except UserError as error:
        raise UserError(f"{path} does not fit config.json beside it: {error}") from error
    return {name.replace(".", "/"): arrays[name].astype(np.float32) for name in shapes}

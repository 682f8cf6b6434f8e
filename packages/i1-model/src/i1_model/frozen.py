"""What text encoders and autoencoders share: how a frozen part of a model is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from i1_model.arrays.loading import Progress, Sharding

BuiltT = TypeVar("BuiltT")


class FrozenPart(Generic[BuiltT]):
    """The configuration of a part that is never trained; it builds the part with arrays or with shapes.

    A part without files defines `build` alone. One whose arrays are files overrides the other two as well.
    """

    def build(self) -> BuiltT:
        """Returns the part with its arrays loaded.

        Raises:
            UserError: for files that are absent or do not fit.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must define build()")

    def build_with(self, *, sharding: Sharding | None = None, progress: Progress | None = None) -> BuiltT:
        """Returns the part as `build` does, with its arrays on chosen devices.

        Args:
            sharding: where each array goes; None is the default device.
            progress: receives how many bytes are read.
        """
        del sharding, progress
        return self.build()

    def build_abstract(self) -> BuiltT:
        """Returns the part with shapes in place of arrays, which is enough to trace and to compile it."""
        return self.build()

"""Released checkpoints in: `.npz`, `.pt` and safetensors, read lazily, without PyTorch."""

from i1_model.formats.lazy import LazyArray
from i1_model.formats.released import WeightsName, load_released, open_released

__all__ = ["LazyArray", "WeightsName", "load_released", "open_released"]

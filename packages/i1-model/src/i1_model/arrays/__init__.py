"""Arrays in files, read lazily and written atomically: npz, PyTorch and safetensors, without PyTorch."""

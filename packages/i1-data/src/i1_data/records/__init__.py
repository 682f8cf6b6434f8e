"""Reading record files without TensorFlow."""

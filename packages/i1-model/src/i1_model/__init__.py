"""i1 backbones, adapters, text encoders, autoencoders and the flow, in JAX."""

"""Model folders, released checkpoints and diffusers folders: configuration and parameters, in and out."""

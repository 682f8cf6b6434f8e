"""What a run keeps on disk, and what it can start from."""

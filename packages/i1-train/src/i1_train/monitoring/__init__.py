"""What a run measures and tells: metrics, progress, bad steps, utilisation, profiles."""

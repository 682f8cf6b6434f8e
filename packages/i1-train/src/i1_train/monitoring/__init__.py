"""What a run measures and reports: metrics, progress, bad steps, utilisation, profiles."""

"""Where training metrics go."""

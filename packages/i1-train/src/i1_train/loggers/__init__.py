"""Where training metrics are written."""

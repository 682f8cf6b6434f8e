"""A logger for i1: training metrics and pictures in MLflow."""

"""Artifact and history in, forecasts, metrics and health out."""

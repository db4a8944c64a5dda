"""Slurm text and times: what both sides of the service must read alike."""

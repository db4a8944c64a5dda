"""nginx before the workers: refuses what is too much, at next to no cost, and hands on the rest."""

FORWARDED = "x-rt-predictor-peer"
"""Metadata key under which nginx tells where a call comes from, instead of what its caller says of that."""

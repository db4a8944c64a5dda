"""HAProxy before the workers: refuses what is too much, at next to no cost, and hands on the rest."""

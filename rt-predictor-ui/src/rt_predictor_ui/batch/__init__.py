"""Many jobs at once: the file, the run over it, its results."""

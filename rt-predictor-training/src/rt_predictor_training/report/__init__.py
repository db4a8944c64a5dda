"""Reports of a result, for people and for programs."""

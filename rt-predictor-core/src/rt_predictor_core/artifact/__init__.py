"""A trained model as a folder: written whole, verified when read."""

"""What surrounds every call of the contract; ``server.py`` states the order."""

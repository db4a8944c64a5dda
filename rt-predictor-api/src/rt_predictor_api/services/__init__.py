"""The calls of the contract: each converts, asks the engine, and converts back."""

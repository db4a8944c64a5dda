"""What a job, a feature, a model and an artifact are: one definition for all services."""

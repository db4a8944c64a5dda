"""Live figures of the service: from Prometheus where there is one, else from the service's own metrics."""

"""Fitting members on the workers of a Dask cluster; imported only where a cluster is asked for."""

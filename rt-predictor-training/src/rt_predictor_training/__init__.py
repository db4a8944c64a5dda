"""Accounting log to artifact: training, report."""

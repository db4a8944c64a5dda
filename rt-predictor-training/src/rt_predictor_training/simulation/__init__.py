"""What forecasts do to waiting: backfilling schedulers run over a log."""

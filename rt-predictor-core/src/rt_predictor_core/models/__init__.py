"""From a row of numbers to a calibrated distribution of the run time."""

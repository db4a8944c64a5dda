"""Accounting log to artifact: training, report."""

import os

# On a machine that others use too, OpenMP's waiting threads burn the time that the working ones need: with twice as
# many busy threads as cores a fit took ten times as long. Read by the libraries when they are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""Launcher for ``rt-predictor-synthesize``, for those who know the path."""

from rt_predictor_training.cli import synthesize

if __name__ == "__main__":
    synthesize()

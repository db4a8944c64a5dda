"""Launcher for ``rt-predictor-train``, for those who know the path."""

from rt_predictor_training.cli import train

if __name__ == "__main__":
    train()

"""The members of the ensemble: each fits the same quantiles with one library and flattens itself into arrays."""

from __future__ import annotations

from rt_predictor_training.members import cat, lgb, xgb
from rt_predictor_training.members.member import Fit

MEMBERS: dict[str, Fit] = {"xgboost": xgb.fit, "lightgbm": lgb.fit, "catboost": cat.fit}
"""How to fit each member, by the name that profiles, manifest and reports use."""

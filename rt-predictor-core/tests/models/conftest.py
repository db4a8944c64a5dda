"""What the models' tests need before they begin."""

import numpy as np
import pytest

from rt_predictor_core.models.distribution import Distribution


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Compile the distribution's kernels before hypothesis measures how long an example takes."""
    job = Distribution(np.array([0.25, 0.75]), np.array([[60.0, 600.0]]), np.array([np.inf]), np.zeros(1))
    job.mode()
    job.exceedance(np.array([300.0]))

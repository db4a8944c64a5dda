"""The service as ``python -m rt_predictor_api``."""

from rt_predictor_api.main import main

main()

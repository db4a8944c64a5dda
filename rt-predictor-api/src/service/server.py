"""Start the service from a checkout: the same as the command ``rt-predictor-api``."""

from rt_predictor_api.main import main

if __name__ == "__main__":
    main()

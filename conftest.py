"""What all tests share: machines differ in speed, and a first call may compile, so that no example has a deadline."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

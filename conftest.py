"""What all tests share: machines differ in speed, and a first call may compile, so that no example has a deadline.

Each property is tried with fewer examples than usual, so that all tests take minutes; ``--hypothesis-profile=thorough``
tries many.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("shared", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("shared"), max_examples=1_000)
settings.load_profile("shared")

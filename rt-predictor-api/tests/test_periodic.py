from __future__ import annotations

from threading import Event
from threading import enumerate as enumerate_threads

from structlog.testing import capture_logs

from rt_predictor_api.periodic import Periodic


def test_an_error_ends_one_turn_alone_and_a_stop_all() -> None:
    turns, third = [0], Event()

    def act() -> None:
        turns[0] += 1
        if turns[0] == 1:
            raise ValueError("odd")
        if turns[0] >= 3:
            third.set()

    with capture_logs() as logged:
        periodic = Periodic(act, 0.001, name="periodic-test", failed="did not do it")
        assert turns == [0], "built stopped"
        periodic.start()
        assert third.wait(60)
        periodic.stop()
    assert not [one for one in enumerate_threads() if one.name == "periodic-test"]
    assert [line["event"] for line in logged] == ["did not do it"]


def test_what_was_never_begun_can_be_stopped() -> None:
    Periodic(lambda: None, 60, name="some", failed="").stop()

"""What a site sets for the pages."""

from __future__ import annotations

import pytest

from rt_predictor_client import Config, Security
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.settings import Settings, load_settings


def test_metrics_are_looked_for_where_the_service_is() -> None:
    assert load_settings({}).metrics_address(Config("node1:50051,node2:50051")) == "http://node1:8181/metrics"
    assert load_settings({}).metrics_address(Config("[::1]:50051")) == "http://[::1]:8181/metrics"
    settings = load_settings({"RT_PREDICTOR_METRICS_PORT": "9000"})
    assert settings.metrics_address(Config("a:1", security=Security(tls=True))) == "https://a:9000/metrics"
    settings = load_settings({"RT_PREDICTOR_METRICS_URL": "http://b:1/m"})
    assert settings.metrics_address(Config("a:1")) == "http://b:1/m"


def test_nothing_set_is_the_default() -> None:
    assert load_settings({"RT_PREDICTOR_PROMETHEUS_URL": "  "}) == Settings()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PROMETHEUS_URL", "prometheus:9090"),
        ("PROMETHEUS_URL", "file:///etc/passwd"),
        ("METRICS_URL", "http://"),
        ("METRICS_PORT", "0"),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "x"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, text: str) -> None:
    with pytest.raises(Problem) as caught:
        load_settings({f"RT_PREDICTOR_{name}": text})
    assert (caught.value.code, caught.value.place) == ("CONFIG_INVALID", f"RT_PREDICTOR_{name}")


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Problem) as caught:
        load_settings({"RT_PREDICTOR_PROMETHEUS_URL": "http://ada:secret@p:9090"})
    assert "secret" not in str(caught.value)

"""From an address to what gRPC connects to."""

from __future__ import annotations

import pytest

from rt_predictor_client.channel import target
from rt_predictor_client.errors import Unreachable
from rt_predictor_formats.errors import Problem


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("predictor.cluster:50051", "predictor.cluster:50051"),
        ("dns:///predictor.cluster:50051", "dns:///predictor.cluster:50051"),
        ("unix:/run/rtp.sock", "unix:/run/rtp.sock"),
        ("127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2"),
        ("localhost:1, 127.0.0.1:2 ,", "ipv4:127.0.0.1:1,127.0.0.1:2"),
        ("[::1]:1,[::2]:2", "ipv6:[::1]:1,[::2]:2"),
        (" 127.0.0.1:1,", "127.0.0.1:1"),
    ],
)
def test_one_is_left_to_grpc_and_several_are_looked_up(address: str, leads_to: str) -> None:
    assert target(address) == leads_to


@pytest.mark.parametrize("replica", ["localhost", "localhost:", ":1", "localhost:many", "localhost:70000", "[::1:1"])
def test_a_replica_without_host_or_port_is_named(replica: str) -> None:
    with pytest.raises(Problem) as caught:
        target(f"127.0.0.1:1,{replica}")
    assert (caught.value.code, caught.value.place) == ("ADDRESS_INVALID", replica)


def test_replicas_of_two_families_are_refused() -> None:
    with pytest.raises(Problem, match="IPv4 and IPv6"):
        target("127.0.0.1:1,[::1]:2")


def test_a_replica_that_nobody_knows_is_named() -> None:
    with pytest.raises(Unreachable) as caught:
        target("127.0.0.1:1,nonesuch.invalid:2")
    assert caught.value.place == "nonesuch.invalid:2"

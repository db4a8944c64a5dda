"""Other requests for the same job."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_formats.sbatch import JobRequest
from rt_predictor_formats.times import LONGEST
from rt_predictor_ui.what_if import variants

COUNTS = st.none() | st.integers(1, 1_000_000)


@given(
    COUNTS,
    COUNTS,
    st.none() | st.integers(0, 1000),
    st.none() | st.floats(1, 1e12),
    st.none() | st.integers(1, LONGEST),
)
def test_a_variant_asks_for_what_a_service_accepts(
    nodes: int | None, processors: int | None, gpus: int | None, memory: float | None, seconds: int | None
) -> None:
    request = JobRequest(
        user="ada", nodes_req=nodes, processors_req=processors, gpus_req=gpus, mem_req=memory, wallclock_req=seconds
    )
    found = variants(request)
    assert found[0].request == request
    for variant in found[1:]:
        other = variant.request
        assert other.user == "ada"
        assert other != request
        assert other.nodes_req is None or 1 <= other.nodes_req <= (nodes or 0)
        assert other.processors_req is None or 1 <= other.processors_req <= (processors or 0)
        assert other.wallclock_req is None or 1 <= other.wallclock_req <= LONGEST


def test_totals_over_all_nodes_halve_with_the_nodes() -> None:
    half = variants(JobRequest(nodes_req=4, processors_req=72, gpus_req=8, mem_req=4096.0))[1].request
    assert (half.nodes_req, half.processors_req, half.gpus_req, half.mem_req) == (2, 36, 4, 2048.0)


def test_a_request_of_which_nothing_is_given_has_no_variant() -> None:
    assert len(variants(JobRequest(user="ada", nodes_req=1))) == 1

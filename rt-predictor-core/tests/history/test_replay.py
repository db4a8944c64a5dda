"""The kernel against the definition, written out as slowly as it reads."""

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_predictor_core.features import history as kernel
from rt_predictor_core.features.keys import KEYS, TIER_KEYS, USER, keys_of
from rt_predictor_core.history.log import EventLog
from rt_predictor_core.history.state import Ended, State
from rt_predictor_core.requests import Requests

RandomLog = Callable[[int, int], tuple[Requests, EventLog]]
LOGS = st.tuples(st.integers(1, 60), st.integers(0, 2**32 - 1))


def slow_features(log: EventLog, keys: np.ndarray, job: int) -> np.ndarray:
    """What one submit may know, from the definition: filter the log, then compute."""
    now = log.submit[job]
    shown = log.submit + 1
    seen = log.ran & (np.maximum(log.end, shown) <= now)
    begun = log.ran & (np.maximum(log.start, shown) <= now) & ~seen
    taught = (log.identity, log.failed, log.request, log.run, log.submit, np.maximum(log.end, shown))
    order = np.lexsort(taught)
    out = []
    for k in range(len(KEYS)):
        mine = (keys[:, k] == keys[job, k]) & (keys[job, k] != 0)
        past = [j for j in order if seen[j] and mine[j]]
        running = int((begun & mine).sum())
        known = mine[seen | begun].any()
        if not known:
            out += [math.nan] * 10
            continue
        if not past:
            out += [0.0, *[math.nan] * 8, running]
            continue
        weights = [kernel.DECAY**i for i in range(len(past))][::-1]
        logs = [math.log1p(log.run[j]) for j in past]
        ratios = [log.run[j] / log.request[j] for j in past if not math.isnan(log.request[j])]
        ratio_weights = [kernel.DECAY**i for i in range(len(ratios))][::-1]
        mean = np.average(logs, weights=weights)
        out += [
            math.log1p(len(past)),
            logs[-1],
            logs[-2] if len(past) > 1 else math.nan,
            ratios[-1] if ratios else math.nan,
            mean,
            math.sqrt(max(np.average(np.square(logs), weights=weights) - mean * mean, 0.0)),
            np.average(ratios, weights=ratio_weights) if ratios else math.nan,
            np.average([log.failed[j] for j in past], weights=weights),
            math.log1p(max(now - max(log.end[j] for j in past), 0)),
            running,
        ]
    mine = begun & (keys[:, USER] == keys[job, USER]) & (keys[job, USER] != 0)
    out.append(math.log1p((now - log.start[mine]).mean()) if mine.any() else math.nan)
    return np.array(out)


@settings(max_examples=30, deadline=None)
@given(size_and_seed=LOGS)
def test_the_sweep_gives_what_the_definition_says(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log = random_log(*size_and_seed)
    keys = keys_of(requests)
    rows = State().replay(log, keys)
    for job in range(len(log)):
        # the variance is a difference of large numbers: its root is only good to about 1e-6
        np.testing.assert_allclose(rows.features[job], slow_features(log, keys, job), rtol=1e-4, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(size_and_seed=LOGS)
def test_events_fed_one_by_one_give_the_same_bits(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log = random_log(*size_and_seed)
    keys = keys_of(requests)
    whole = State().replay(log, keys)
    state = State()
    for kind, job in zip(*log.events(), strict=True):
        if kind == kernel.SUBMIT:
            row = state.read(requests.take(slice(job, job + 1)))
            np.testing.assert_array_equal(row.features[0], whole.features[job])
            assert (row.tier[0], row.jobs[0]) == (whole.tier[job], whole.jobs[job])
        elif kind == kernel.START:
            state.observe_start(keys[job], int(log.start[job]))
        else:
            state.observe_end(
                keys[job],
                Ended(
                    end=int(log.end[job]),
                    run=float(log.run[job]),
                    request=float(log.request[job]),
                    failed=bool(log.failed[job]),
                    start_seen=int(log.start[job]),
                ),
            )


@settings(max_examples=20, deadline=None)
@given(size_and_seed=LOGS)
def test_the_order_of_rows_does_not_matter(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log = random_log(*size_and_seed)
    shuffled = np.random.default_rng(0).permutation(len(log))
    rows = State().replay(log, keys_of(requests))
    again = State().replay(log.take(shuffled), keys_of(requests.take(shuffled)))
    np.testing.assert_array_equal(again.features, rows.features[shuffled])


@settings(max_examples=20, deadline=None)
@given(size_and_seed=LOGS)
def test_what_has_not_ended_at_a_submit_cannot_move_it(random_log: RandomLog, size_and_seed: tuple[int, int]) -> None:
    requests, log = random_log(*size_and_seed)
    keys = keys_of(requests)
    honest = State().replay(log, keys)
    job = len(log) // 2
    later = log.end > log.submit[job]
    poisoned = EventLog(
        **{
            **{name: getattr(log, name) for name in log.__dataclass_fields__},
            "run": np.where(later, 1e6, log.run),
            "end": np.where(later, log.end + 10**6, log.end),
            "failed": np.where(later, 1.0 - log.failed, log.failed),
        }
    )
    row = State().replay(poisoned, keys)
    np.testing.assert_array_equal(row.features[job], honest.features[job])


def test_rows_and_arrow_give_the_same_keys() -> None:
    names = ["run_42", "run_٣٤", "x²", "", None]
    rows = [{"user": "ada", "name": name, "submit_time": 5} for name in names]
    table = pa.table(
        {"user": ["ada"] * 5, "name": names, "submit_time": pa.array([5] * 5, pa.timestamp("s", tz="UTC"))}
    )
    np.testing.assert_array_equal(keys_of(Requests.from_arrow(table)), keys_of(Requests.from_rows(rows)))


def test_a_state_grows_without_forgetting() -> None:
    requests = Requests.from_rows([{"user": f"u{i}", "submit_time": 0} for i in range(3000)])
    keys = keys_of(requests)
    state = State()
    for row in keys:
        state.observe_end(row, Ended(end=10, run=5.0, request=math.nan, failed=False))
    late = requests.take(slice(None))
    rows = state.read(late)
    assert (rows.jobs == 1).all()
    restored = State.restore(**state.snapshot())
    np.testing.assert_array_equal(restored.read(late).features, rows.features)


def test_a_snapshot_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        State.restore(np.ones(2, np.uint64), np.zeros((2, len(kernel.STATISTICS))))


def test_tiers_name_the_finest_key_with_ended_jobs() -> None:
    rows = [{"user": "ada", "name": "a", "wallclock_req": 60.0, "processors_req": 1.0, "submit_time": 0}]
    state = State()
    state.observe_end(keys_of(Requests.from_rows(rows))[0], Ended(end=5, run=5.0, request=60.0, failed=False))
    asked = [
        {"user": "bob", "submit_time": 9},
        {"user": "ada", "submit_time": 9},
        {"user": "ada", "wallclock_req": 60.0, "processors_req": 1.0, "submit_time": 9},
        {"user": "ada", "name": "a", "submit_time": 9},
        {**rows[0], "submit_time": 9},
    ]
    assert list(state.read(Requests.from_rows(asked)).tier) == list(range(len(TIER_KEYS) + 1))

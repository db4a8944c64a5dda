"""The jobs of a user, page by page, with what was forecast of each and only with the names that the site tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rt_predictor_api.security.privacy import HASH_DIGITS, KEY, Privacy
from rt_predictor_api.stores import jobs
from rtpredictor.v1 import history_service_pb2, job_pb2
from rtpredictor.v1.history_service_pb2 import ListJobsRequest, ListJobsResponse
from rtpredictor.v1.prediction_service_pb2 import PredictRequest

NAMES = {"user": "ada", "account": "loom", "name": "secret_7", "work_dir": "/home/ada/secret", "submit_line": "x --pw"}


def listed(client: Any, **asked: Any) -> ListJobsResponse:
    answer: ListJobsResponse = client.history.ListJobs(ListJobsRequest(**asked))
    return answer


def pages(client: Any, **asked: Any) -> list[history_service_pb2.JobRecord]:
    """Return the jobs of all pages."""
    found, token = [], ""
    while True:
        answer = listed(client, page_token=token, **asked)
        found += answer.jobs
        token = answer.next_page_token
        if not token:
            return found
        assert len(answer.jobs) == asked["page_size"]


def ids(jobs: Any) -> list[str]:
    return [one.job.job_id for one in jobs]


def submitted(event: Any, number: int, **fields: Any) -> job_pb2.JobEvent:
    made: job_pb2.JobEvent = event(number, **fields)
    for name in ("start_time", "end_time", "state"):
        made.ClearField(name)
    return made


def test_the_newest_jobs_of_a_user_come_first(served: Any, event: Any) -> None:
    events = [event(number, user="ada" if number % 2 else "bob") for number in range(10)]
    with served() as client:
        client.report(*events[5:], *events[:5])
        answer = listed(client, user="ada")
        assert ids(answer.jobs) == ["9", "7", "5", "3", "1"]
        assert answer.privacy == history_service_pb2.PRIVACY_SHOW
        assert not answer.next_page_token
        assert ids(listed(client, user="bob").jobs) == ["8", "6", "4", "2", "0"]
        assert len(listed(client).jobs) == 10
        assert not listed(client, user="nobody").jobs


def test_a_user_and_an_account_are_both_asked_for(served: Any, event: Any) -> None:
    with served() as client:
        client.report(*(event(n, user=f"u{n % 2}", account=f"a{n % 3}") for n in range(12)))
        assert ids(listed(client, account="a1").jobs) == ["10", "7", "4", "1"]
        assert ids(listed(client, user="u1", account="a1").jobs) == ["7", "1"]


@pytest.mark.parametrize("size", [1, 7, 20, 1000])
def test_pages_join_to_all_jobs_even_of_one_second(served: Any, event: Any, size: int) -> None:
    events = [event(number // 4) for number in range(20)]
    for number, one in enumerate(events):
        one.job.job_id = str(number)
    with served() as client:
        client.report(*events)
        found = pages(client, user="ada", page_size=size)
        assert sorted(map(int, ids(found))) == list(range(20))
        times = [one.job.submit_time.seconds for one in found]
        assert times == sorted(times, reverse=True)


def test_what_is_reported_between_pages_moves_nothing(served: Any, event: Any) -> None:
    with served() as client:
        client.report(*(event(number) for number in range(6)))
        first = listed(client, user="ada", page_size=3)
        client.report(event(7))
        second = listed(client, user="ada", page_size=3, page_token=first.next_page_token)
        assert ids(first.jobs) + ids(second.jobs) == ["5", "4", "3", "2", "1", "0"]


def test_a_job_is_told_with_all_that_is_known_of_it(served: Any, event: Any) -> None:
    with served() as client:
        client.report(event(1, mem_req=1024.5, **NAMES))
        (one,) = listed(client, user="ada").jobs
    assert (one.job.user, one.job.name, one.job.work_dir) == ("ada", "secret_7", "/home/ada/secret")
    assert (one.job.wallclock_req, one.job.nodes_req, one.job.mem_req) == (7200, 2, 1024.5)
    assert not one.job.HasField("gpus_req")
    assert not one.job.submit_line
    assert one.run_seconds == 600
    assert one.end_time.seconds - one.start_time.seconds == 600
    assert one.state == job_pb2.JOB_STATE_COMPLETED


def test_a_job_is_told_as_far_as_it_has_come(served: Any, event: Any) -> None:
    withdrawn = submitted(event, 3)
    withdrawn.end_time.FromSeconds(withdrawn.job.submit_time.seconds + 5)
    with served() as client:
        client.report(submitted(event, 1))
        client.report(submitted(event, 2), event(2, run_time=None))
        client.report(withdrawn)
        client.report(event(4), event(4, run_time=None))
        four, three, two, one = listed(client, user="ada").jobs
        assert (one.HasField("start_time"), one.HasField("end_time")) == (False, False)
        assert (two.HasField("start_time"), two.HasField("end_time")) == (True, False)
        assert (three.HasField("start_time"), three.HasField("end_time")) == (False, True)
        assert not three.HasField("run_seconds")
        assert four.run_seconds == 600
        client.report(event(2))
        assert [round(one.run_seconds) for one in listed(client, user="ada").jobs] == [600, 0, 600, 0]


def test_the_forecast_that_was_told_stands_beside_the_end(served: Any, job: Any, event: Any) -> None:
    with served() as client:
        ended = event(1)
        asked = PredictRequest(job=job(job_id="1", submit_time=ended.job.submit_time.seconds))
        told = client.prediction.Predict(asked).forecast
        client.report(submitted(event, 2))
        (two,) = listed(client, user="ada").jobs
        assert two.forecast.median_seconds > 0
        client.report(ended, event(2), event(3))
        three, two_ended, one = listed(client, user="ada").jobs
    assert one.forecast.median_seconds == told.median_seconds
    assert one.forecast.interval == told.interval
    assert (one.forecast.tier, one.forecast.model_version) == (told.tier, told.model_version)
    assert two_ended.forecast == two.forecast
    # of the third nothing was said before its end was known
    assert not three.HasField("forecast")


def test_forecasts_outlive_a_restart(served: Any, event: Any) -> None:
    with served() as client:
        client.report(submitted(event, 1))
        client.report(event(1))
        before = listed(client, user="ada").jobs
    with served() as client:
        assert list(listed(client, user="ada").jobs) == list(before)
        assert before[0].HasField("forecast")


def test_hashes_stand_for_names_and_are_asked_for(served: Any, event: Any, refusal: Any) -> None:
    with served(privacy="hash") as client:
        client.report(event(1, **NAMES), event(2, **NAMES), event(3, user="bob", name="ada"))
        answer = listed(client)
        assert answer.privacy == history_service_pb2.PRIVACY_HASH
        three, two, one = answer.jobs
        for name in ("user", "account", "name", "work_dir", "job_id"):
            assert len(getattr(one.job, name)) == HASH_DIGITS
        assert one.job.user == two.job.user != three.job.user
        # a user and a job of one name do not look alike
        assert three.job.name != one.job.user
        assert one.job.job_id != two.job.job_id
        assert one.job.wallclock_req == 7200
        assert list(listed(client, user=one.job.user).jobs) == [two, one]
        assert refusal(lambda: listed(client, user="ada")).fields.keys() == {"user"}
        for text in (*NAMES.values(), "bob"):
            # as a whole: three letters may well be among the digits of a hash
            assert f'"{text}"' not in str(answer)
    with served(privacy="hash") as client:
        assert list(listed(client).jobs) == list(answer.jobs)


def test_hidden_names_are_neither_told_nor_asked_for(served: Any, event: Any, refusal: Any) -> None:
    with served(privacy="hide") as client:
        client.report(*(event(number, **NAMES) for number in range(5)))
        found = pages(client, page_size=2)
        assert len(found) == 5
        for one in found:
            assert not any(getattr(one.job, name) for name in ("user", "account", "name", "work_dir", "job_id"))
            assert one.run_seconds == 600
        for kind in ("user", "account"):
            refused = refusal(lambda kind=kind: listed(client, **{kind: "ada"}))
            assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "NAMES_HIDDEN")
            assert "ada" not in refused.text


@pytest.mark.parametrize("mode", ["show", "hash", "hide"])
def test_a_token_goes_on_with_its_own_filters_alone(served: Any, event: Any, refusal: Any, mode: str) -> None:
    with served(privacy=mode) as client:
        client.report(*(event(number, **NAMES) for number in range(4)))
        token = listed(client, page_size=2).next_page_token
        assert len(listed(client, page_token=token).jobs) == 2
        other = {"user": "0" * HASH_DIGITS} if mode != "hide" else {}
        bad = ["x", "e30=", token[:-8], "W10=", "é", *([token] if other else [])]
        for one in bad:
            refused = refusal(lambda one=one: listed(client, page_token=one, **(other if one == token else {})))
            assert (refused.code, set(refused.fields)) == ("INVALID_ARGUMENT", {"page_token"})


def test_only_the_newest_jobs_are_listed(served: Any, event: Any) -> None:
    with served(listed_jobs=5) as client:
        client.report(*(event(number) for number in range(12)))
        assert ids(listed(client).jobs) == ["11", "10", "9", "8", "7"]
        client.report(*(event(number) for number in range(20, 23)))
        assert ids(listed(client).jobs) == ["22", "21", "20", "11", "10"]


def test_a_long_history_is_read_by_as_many_questions_as_it_takes(
    served: Any, event: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_SECONDS", -1.0)
    monkeypatch.setattr(jobs, "PAGE_ENTRIES", 5)
    with served() as client:
        client.report(*(event(number) for number in range(12)))
        for _ in range(2):
            refused = refusal(lambda: listed(client))
            assert (refused.code, refused.reason) == ("UNAVAILABLE", "HISTORY_BEHIND")
            assert refused.retry_seconds > 0
        assert len(listed(client).jobs) == 12


@pytest.mark.parametrize("size", [1001, 2**32 - 1])
def test_a_page_has_a_limit(client: Any, refusal: Any, size: int) -> None:
    assert set(refusal(lambda: listed(client, page_size=size)).fields) == {"page_size"}


def test_jobs_can_be_listed_before_there_is_a_model(served: Any, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with served(models=tmp_path / "none", wait_for_model=True) as client:
        assert not listed(client).jobs


def test_several_processes_tell_the_same(start: Any, event: Any, until: Any) -> None:
    service = start(RT_PREDICTOR_WORKERS="2", RT_PREDICTOR_PRIVACY="hash")
    service.report(*(event(number, **NAMES) for number in range(6)))
    token = listed(service, page_size=3).next_page_token
    answers = set()

    def asked() -> bool:
        # a new connection may reach the other process
        other = service.bearer("")
        answers.add(str(listed(other, page_size=3, page_token=token)))
        other.channel.close()
        tried.append(1)
        return len(tried) >= 12

    tried: list[int] = []
    until(asked, "a dozen connections")
    assert len(answers) == 1


def test_the_key_of_the_hashes_is_kept_to_the_service(tmp_path: Path) -> None:
    from rt_predictor_api import settings

    def privacy(**changes: Any) -> Privacy:
        return Privacy.of(settings.read({"history": tmp_path, "privacy": "hash", **changes}))

    first = privacy().told("user", "ada")
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert privacy().told("user", "ada") == first
    given = [privacy(privacy_key=key).told("user", "ada") for key in ("one", "one", "other")]
    assert given[0] == given[1] != given[2]
    assert first not in given
    assert [path.name for path in tmp_path.iterdir()] == [KEY]


def test_a_key_that_is_none_stops_the_start(refused: Any, environment: dict[str, str]) -> None:
    folder = Path(environment["RT_PREDICTOR_HISTORY"])
    folder.mkdir(parents=True)
    (folder / KEY).write_bytes(b"short")
    assert KEY in refused(RT_PREDICTOR_PRIVACY="hash")

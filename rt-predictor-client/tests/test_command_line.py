from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from google.rpc import code_pb2

from rt_predictor_client.errors import EXIT_MEANINGS, Exit
from rtpredictor.v1 import job_pb2

SCHEMA = json.loads((files("rt_predictor_client") / "documents.schema.json").read_text())
SCRIPT = """#!/bin/bash
#SBATCH --time=02:00:00
#SBATCH -N 2 --mem=4G
#SBATCH --ntasks-per-node=8

srun ./relax
"""
HEADER = "JobID|Cluster|User|Submit|Start|End|State|NNodes|ReqCPUS|Timelimit|JobName\n"


def document(text: str) -> Any:
    parsed = json.loads(text)
    jsonschema.validate(parsed, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert parsed["version"] == 1
    return parsed


def script(folder: Path) -> Path:
    path = folder / "relax.sh"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"]])
def test_help_and_version_import_neither_grpc_nor_rich(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom rt_predictor_client.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LATE', sorted({'grpc', 'rich', 'google.protobuf', 'rtpredictor'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.endswith("LATE []\n")


def test_the_version_is_told(rtp: Any) -> None:
    assert rtp("--version").out == "rtp 0.1.0\n"


def test_exit_statuses_stand_in_one_table(rtp: Any) -> None:
    assert set(EXIT_MEANINGS) == set(Exit)
    helped = rtp("--help").out
    for status, meaning in EXIT_MEANINGS.items():
        assert f"  {status.value}  {meaning}\n" in helped


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (code_pb2.UNAVAILABLE, 3),
        (code_pb2.DEADLINE_EXCEEDED, 3),
        (code_pb2.INVALID_ARGUMENT, 4),
        (code_pb2.NOT_FOUND, 4),
        (code_pb2.PERMISSION_DENIED, 4),
        (code_pb2.RESOURCE_EXHAUSTED, 4),
        (code_pb2.INTERNAL, 1),
        (code_pb2.UNIMPLEMENTED, 1),
    ],
)
def test_each_status_of_the_service_has_its_exit_status(rtp: Any, peer: Any, code: Any, status: int) -> None:
    peer.refuse(code, text="said the service")
    ran = rtp("model", "--list")
    assert (ran.status, ran.out) == (status, "")
    assert re.fullmatch(r"error: .*; .* \[[A-Z_]+\]\n", ran.err)


@pytest.mark.parametrize(
    "arguments",
    [["nonesuch"], ["predict", "--nonesuch"], ["model", "a", "--list"], ["report"], ["report", "x", "--job-id", "1"]],
)
def test_wrong_usage_is_one_line_and_two(rtp: Any, arguments: list[str]) -> None:
    ran = rtp(*arguments)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith("error: rtp")


def test_an_address_may_be_called_a_server(rtp: Any, peer: Any) -> None:
    assert rtp("--server", f"{peer.address},127.0.0.1:1", "health").status == 0


def test_nobody_at_the_address_is_three(rtp: Any) -> None:
    ran = rtp("--address", "127.0.0.1:1", "predict")
    assert ran.status == 3
    assert "127.0.0.1:1: no service answers" in ran.err


def test_a_time_out_is_three(rtp: Any, peer: Any) -> None:
    peer.hang = threading.Event()
    ran = rtp("--timeout", "0.3", "predict")
    assert (ran.status, "TIMED_OUT" in ran.err) == (3, True)


def test_a_script_is_read_and_its_forecast_told(rtp: Any, peer: Any, tmp_path: Path) -> None:
    ran = rtp("predict", script(tmp_path), "--risk", "0.1")
    job = peer.requests[0].job
    assert (job.wallclock_req, job.nodes_req, job.processors_req, job.mem_req) == (7200, 2, 16, 8192)
    assert (job.user, job.name) == ("ada", "relax.sh")
    told = dict(re.split(r"  +", line, maxsplit=1) for line in ran.out.splitlines())
    assert told == {
        "median": "1 h",
        "most likely": "30 min",
        "50 % interval": "30 min - 1 h 30 min",
        "90 % interval": "6 min - 1 h 54 min",
        "recommended": "--time=02:00:00 (risk 10 %)",
        "runs past the request": "12.5 %",
        "history": "34 finished jobs of this user with the same name",
        "model": "20260101T000000Z-00000000",
    }


def test_what_is_left_of_a_running_job_is_told(rtp: Any, peer: Any, tmp_path: Path) -> None:
    ran = rtp(
        "remaining", script(tmp_path), "--elapsed", "00:30:00", "--submit", "2024-07-01T10:00:00", "--risk", "0.1"
    )
    (request,) = peer.requests
    assert (request.elapsed_seconds, request.risk, request.job.submit_time.seconds) == (1800, 0.1, 1719828000)
    assert (request.job.wallclock_req, request.job.nodes_req, request.job.user) == (7200, 2, "ada")
    told = dict(re.split(r"  +", line, maxsplit=1) for line in ran.out.splitlines())
    assert told == {
        "has run": "30 min; 25 % of such jobs take no longer",
        "median left": "30 min",
        "most likely left": "0 s",
        "50 % interval left": "0 s - 1 h",
        "90 % interval left": "0 s - 1 h 24 min",
        "recommended in total": "--time=02:00:00 (risk 10 %)",
        "runs into the request": "12.5 %",
        "history": "34 finished jobs of this user with the same name",
        "model": "20260101T000000Z-00000000",
    }


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 5400), ("5:03", 303), ("1-02:03:04", 93784), ("0:00", 0), ("1-6", 108000)]
)
def test_elapsed_is_what_squeue_prints(rtp: Any, peer: Any, text: str, seconds: int) -> None:
    assert rtp("remaining", "--time", "60", "--elapsed", text).status == 0
    assert peer.requests[0].elapsed_seconds == seconds
    assert not peer.requests[0].job.HasField("submit_time")


def test_a_job_at_its_limit_is_said_to_be_there(rtp: Any) -> None:
    shown = rtp("remaining", "--time", "60", "--elapsed", "2-0").out
    assert "reached: nothing is left" in shown
    assert ">99.9 % of such jobs take no longer" in shown


@pytest.mark.parametrize("text", ["soon", "UNLIMITED", "", "-5", "400-0"])
def test_an_elapsed_that_is_no_duration_is_four_and_named(rtp: Any, peer: Any, text: str) -> None:
    ran = rtp("remaining", f"--elapsed={text}")
    assert (ran.status, ran.err.count("\n"), peer.calls) == (4, 1, {})
    assert ran.err.startswith("error: --elapsed: ")


def test_what_is_left_without_the_time_that_has_passed_is_wrong_usage(rtp: Any, peer: Any) -> None:
    assert (rtp("remaining").status, peer.calls) == (2, {})


def test_the_document_of_what_is_left_follows_its_schema(rtp: Any, peer: Any) -> None:
    ran = rtp("remaining", "--time", "60", "--elapsed", "15", "--json")
    told = document(ran.out)
    assert told["kind"] == "remaining"
    left = told["forecast"]
    assert (left["median_seconds"], left["elapsed_seconds"], left["recommended_time"]) == (900, 900, "01:00:00")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**told, "kind": "forecast"}, SCHEMA, cls=jsonschema.Draft202012Validator)
    peer.degraded = 1
    assert rtp("remaining", "--elapsed", "15", "--strict").status == 5


def test_flags_override_the_script_by_its_own_rules(rtp: Any, peer: Any, tmp_path: Path) -> None:
    rtp("predict", script(tmp_path), "--nodes", 4, "--time", "1-0", "--name", "other", "--user", "bob")
    job = peer.requests[0].job
    assert (job.nodes_req, job.processors_req, job.mem_req) == (4, 32, 16384)
    assert (job.wallclock_req, job.name, job.user) == (86400, "other", "bob")


def test_processors_are_the_total(rtp: Any, peer: Any, tmp_path: Path) -> None:
    rtp("predict", script(tmp_path), "--processors", 3)
    assert peer.requests[0].job.processors_req == 3


def test_a_script_may_come_on_stdin(rtp: Any, peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SCRIPT.encode())))
    assert rtp("predict", "-").status == 0
    assert peer.requests[0].job.nodes_req == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time", "soon"], "--time: 'soon' is no duration"),
        (["--nodes", "some"], "--nodes: 'some' is no count"),
        (["--risk", "0.9"], "--risk: 0.9 is no risk"),
        (["/nonesuch.sh"], "/nonesuch.sh: No such file"),
    ],
)
def test_bad_input_is_four_and_names_its_place(rtp: Any, peer: Any, arguments: list[str], words: str) -> None:
    ran = rtp("predict", *arguments)
    assert (ran.status, ran.err.count("\n"), peer.calls) == (4, 1, {})
    assert ran.err.startswith(f"error: {words}")


def test_a_binary_file_is_no_script(rtp: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.out"
    path.write_bytes(b"\x7fELF\0\0")
    assert "SCRIPT_INVALID" in rtp("predict", path).err


def test_the_forecast_document_follows_its_schema(rtp: Any) -> None:
    forecast = document(rtp("predict", "--time", "60", "--json").out)["forecast"]
    assert (forecast["median_seconds"], forecast["most_likely_seconds"]) == (1800, 900)
    assert forecast["recommended_time"] == "01:00:00"
    assert document(rtp("predict", "--json").out)["forecast"]["probability_exceeds_request"] is None


def test_an_explanation_is_a_table_of_minutes(rtp: Any, peer: Any) -> None:
    ran = rtp("predict", "--time", "60", "--explain")
    assert ran.status == 0
    assert peer.requests[0].explain
    table = [line.split() for line in ran.out.partition("\n\n")[2].splitlines()]
    assert [row[-1] for row in table] == ["minutes", "10.0", "+25.0", "-5.0", "30.0"]
    assert "what this user ran lately" in ran.out


def test_a_model_that_cannot_explain_says_why(rtp: Any, peer: Any) -> None:
    peer.unexplained = True
    ran = rtp("predict", "--time", "60", "--explain")
    assert ran.status == 0
    assert ran.out.splitlines()[-1].startswith("no explanation: the model was published by a release")
    assert (
        document(rtp("predict", "--explain", "--json").out)["forecast"]["explanation"]["unexplained"] == "no_baseline"
    )


def test_the_document_has_an_explanation_where_it_was_asked_for(rtp: Any, peer: Any) -> None:
    told = document(rtp("predict", "--time", "60", "--explain", "--json").out)["forecast"]
    assert told["explanation"] == {
        "baseline_seconds": 600,
        "contributions": [{"group": "user", "seconds": 1500}, {"group": "size", "seconds": -300}],
        "unexplained": None,
    }
    assert document(rtp("predict", "--time", "60", "--json").out)["forecast"]["explanation"] is None
    assert not peer.requests[1].explain


def test_a_degraded_forecast_is_told_and_five_only_under_strict(rtp: Any, peer: Any) -> None:
    peer.degraded = 1
    ran = rtp("predict")
    assert (ran.status, "degraded" in ran.out) == (0, True)
    strict = rtp("predict", "--strict")
    assert (strict.status, strict.out) == (5, ran.out)


def test_fields_of_a_bad_request_are_shown(rtp: Any, peer: Any, details: Any) -> None:
    peer.refuse(code_pb2.INVALID_ARGUMENT, details(**{"job.nodes_req": "must be at most 1000000"}))
    ran = rtp("predict", "--nodes", 2_000_000)
    assert ran.err == "error: job.nodes_req: must be at most 1000000; correct the request [REJECTED]\n"


def test_health_is_zero_only_when_serving(rtp: Any, peer: Any) -> None:
    assert rtp("health").out == f"SERVING {peer.address}\n"
    peer.health.enter_graceful_shutdown()
    ran = rtp("health")
    assert (ran.status, ran.out.split()[0]) == (3, "NOT_SERVING")


def test_models_are_shown(rtp: Any) -> None:
    shown = rtp("model").out
    assert "100000 jobs submitted 2025-06-15 to 2025-10-09" in shown
    assert re.search(r"ensemble +1.50 h +9.0 min +40 % +91 % +7.00 h", shown)
    assert re.search(r"\n5 % +4.6 % +82 %\n25 % +24 %\n", shown)
    (newest, oldest) = document(rtp("model", "--list", "--json").out)["models"]
    assert [one["bound_to_request"] for one in newest["dial"]] == [0.82, None]
    assert oldest["dial"] == []
    listed = rtp("model", "--list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["version", "20260101T000000Z-00000000", "20250101T000000Z-00000000"]
    assert len(document(rtp("model", "--list", "--json").out)["models"]) == 2
    assert rtp("model", "nonesuch").status == 4


def test_an_evaluation_is_shown_part_by_part(rtp: Any) -> None:
    shown = rtp("model", "--evaluation").out
    assert "100 jobs submitted 2025-09-27 to 2025-10-09" in shown
    assert re.search(r"month +jobs .*request\n2025-09 +60 +1.50 h +9.0 min +91 % +7.00 h +6.00 h\n2025-10 +40 ", shown)
    assert re.search(r"quantile +ran no longer\n95 % +94 %", shown)
    assert re.search(r"ensemble rests on +group +share\nnear_q50_log +alike +75 %\nlog_wallclock_req", shown)
    told = document(rtp("model", "--evaluation", "--json").out)["evaluation"]
    assert [part["label"] for part in told["months"]] == ["2025-09", "2025-10"]
    assert told["reliability"] == [{"level": 0.95, "measured": 0.94}]
    assert told["importance"][0]["features"][1] == {"feature": "log_wallclock_req", "group": "wallclock", "share": 0.25}


def test_an_evaluation_that_was_not_kept_is_said_to_be_absent(rtp: Any) -> None:
    ran = rtp("model", "20250101T000000Z-00000000", "--evaluation")
    assert (ran.status, ran.out.partition(":")[0]) == (0, "not told")
    assert document(rtp("model", "20250101T000000Z-00000000", "--evaluation", "--json").out)["evaluation"] is None
    assert rtp("model", "--list", "--evaluation").status == 2


def test_jobs_of_a_user_are_listed(rtp: Any, peer: Any) -> None:
    ran = rtp("jobs", "--user", "ada", "--limit", 2)
    header, first, second = ran.out.splitlines()
    assert header.split()[:3] == ["job", "user", "submitted"]
    assert re.fullmatch(
        r"250  ada +2025-10-09 08:57 +relax +02:00:00 +1 h +30 min +1 min - 1 h 30 min +completed", first
    )
    assert re.fullmatch(r"249  ada +2025-10-09 08:57 +relax +02:00:00 +waits", second)
    assert peer.requests[0].user == "ada"
    told = document(rtp("jobs", "--account", "loom", "--json", "--limit", 120).out)["jobs"]
    assert [one["job_id"] for one in told] == [str(number) for number in range(250, 130, -1)]
    assert told[0]["forecast"]["median_seconds"] == 1800
    assert (told[1]["forecast"], told[1]["end_time"]) == (None, None)


def test_a_site_that_hides_names_is_told_as_such(rtp: Any, peer: Any) -> None:
    peer.refuse(code_pb2.PERMISSION_DENIED, text="this site tells nobody's jobs by user")
    ran = rtp("jobs", "--user", "ada")
    assert (ran.status, "nobody" in ran.err) == (4, True)


def test_sacct_text_is_reported_and_counts_once(rtp: Any, peer: Any, tmp_path: Path) -> None:
    path = tmp_path / "sacct.txt"
    rows = [
        "1|c|ada|1000|1100|1200|COMPLETED|1|4|01:00:00|a|b",
        "1.batch|c||1000|1100|1200|COMPLETED|1|4||batch",
        "2|c|ada|1000|Unknown|Unknown|PENDING|1|4|01:00:00|x",
        "3|c|ada|1000|1100|Unknown|RUNNING|1|4|UNLIMITED|x",
        "4|c|ada|1000|1100|1050|FAILED|1|4|01:00:00|x",
        "5|c|ada|then|1100|1200|FAILED|1|4|01:00:00|x",
        "6|c|ada|1000|None|1300|CANCELLED by 7|1|4|01:00:00|x",
        "7_[1-9]|c|ada|1000|Unknown|Unknown|PENDING|1|4|01:00:00|x",
        "8|c|ada|1000|Unknown|Unknown|RUNNING|1|4|01:00:00|x",
    ]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    ran = rtp("report", path)
    assert ran.status == 6
    assert ran.out.splitlines()[0] == "accepted 4, duplicates 0, rejected 2"
    assert "passed over 3" in ran.out
    assert "rejected: line 6: end_time: must not lie before start_time" in ran.err
    assert "rejected: line 7: submit: 'then' is no time" in ran.err
    first, waits, running, _, withdrawn = peer.requests[:5]
    assert (first.cluster, first.job.name, first.job.wallclock_req, first.state) == ("c", "a|b", 3600, 1)
    assert (running.HasField("end_time"), running.state, running.job.HasField("wallclock_req")) == (False, 0, False)
    assert [one.HasField("start_time") for one in (waits, withdrawn)] == [False, False]
    assert [one.HasField("end_time") for one in (waits, withdrawn)] == [False, True]
    assert (waits.state, withdrawn.state) == (job_pb2.JOB_STATE_UNSPECIFIED, job_pb2.JOB_STATE_CANCELLED)
    again = document(rtp("report", path, "--json").out)
    assert (again["accepted"], again["duplicates"], again["rejected_total"], again["skipped"]) == (0, 4, 2, 3)
    assert [error["line"] for error in again["rejected"]] == [6, 7]


def test_the_order_of_xdmod_needs_no_header_and_heeds_the_time_zone(
    rtp: Any, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = "7|7|c|p|q|acc|g|1|ada|1|2024-07-01T10:00:00|x|2024-07-01T11:00:00|2024-07-01T12:00:00|1|0:0|COMPLETED|"
    row += "2|8|8|4Gn|cpu=8|cpu=8|1-00:00:00|n[1-2]|relax\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(row))
    ran = rtp("report", "-", "--timezone", "Etc/GMT-2")
    assert (ran.status, ran.out) == (0, "accepted 1, duplicates 0, rejected 0\n")
    job = peer.requests[0].job
    assert (job.submit_time.seconds, job.mem_req, job.partition) == (1719820800, 8192, "p")


@pytest.mark.parametrize(
    ("text", "code"), [("", "LOG_EMPTY"), (HEADER, "LOG_EMPTY"), ("time,user\n1,2\n", "LOG_FORMAT")]
)
def test_what_is_no_log_is_one_line_and_four(rtp: Any, peer: Any, tmp_path: Path, text: str, code: Any) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    ran = rtp("report", path)
    assert (ran.status, ran.err.count("\n"), peer.calls) == (4, 1, {})
    assert f"[{code}]" in ran.err


def test_one_job_is_reported_by_options(rtp: Any, peer: Any) -> None:
    arguments = ["report", "--job-id", "9", "--submit", "2024-07-01T10:00:00", "--start", "1719828000"]
    ran = rtp(*arguments, "--end", "1719829000", "--state", "timeout", "--time", "1:00:00", "--nodes", 2)
    assert ran.out == "accepted 1, duplicates 0, rejected 0\n"
    event = peer.requests[0]
    assert (event.job.user, event.job.wallclock_req, event.job.nodes_req, event.state) == ("ada", 3600, 2, 3)
    assert (event.job.submit_time.seconds, event.end_time.seconds) == (1719828000, 1719829000)
    assert rtp(*arguments).out.startswith("accepted 0, duplicates 1")
    assert rtp(*arguments, "--state", "EXPLODED").status == 6


def test_a_reported_job_has_the_parts_of_a_request_and_none_of_the_next_jobs(
    rtp: Any, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "of-the-next-job")
    arguments = ["report", "--job-id", "9", "--submit", "1719828000", "--start", "1719828000", "--user", "bob"]
    assert rtp(*arguments, "--qos", "high", "--gpus", 4, "--nodes", 2, "--mem", "4G").status == 0
    job = peer.requests[0].job
    assert (job.user, job.qos, job.gpus_req, job.nodes_req, job.mem_req) == ("bob", "high", 4, 2, 8192)
    assert not job.partition
    assert not job.HasField("wallclock_req")
    ran = rtp(*arguments, "--time", "soon")
    assert (ran.status, ran.err.count("\n")) == (4, 1)
    assert "--time" in ran.err


def test_nothing_on_a_pipe_is_coloured(rtp: Any) -> None:
    assert "\x1b" not in rtp("model").out


def test_a_broken_pipe_is_no_trace(peer: Any) -> None:
    code = "from rt_predictor_client.cli import main; main()"
    command = f"{sys.executable} -c '{code}' --address {peer.address} model | true"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in ran.stderr


def test_sbatch_s_variables_stand_between_script_and_flags(
    rtp: Any, peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    monkeypatch.setenv("SBATCH_TIMELIMIT", "45")
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH -p short --time=60\n", encoding="utf-8")
    assert rtp("predict", script, "--time", "30").status == 0
    (request,) = peer.requests
    assert (request.job.partition, request.job.wallclock_req) == ("long", 1800)


def test_an_empty_user_is_a_cold_start(rtp: Any, peer: Any) -> None:
    rtp("predict", "--user", "", "--time", "30")
    assert peer.requests[0].job.user == ""

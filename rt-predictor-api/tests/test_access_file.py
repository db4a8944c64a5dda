"""The access file: what it may say, and tokens."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_predictor_api.security import scopes
from rt_predictor_api.security.access import NAME, PREFIX, hashed, issue, parse
from rt_predictor_formats.errors import Problem

HASH = "sha256:" + "0f" * 32

NAMES = st.from_regex(NAME, fullmatch=True)
SCOPES = st.lists(st.sampled_from(scopes.ALL), min_size=1, unique=True)


@given(st.dictionaries(NAMES, SCOPES, min_size=1, max_size=5))
def test_every_issued_line_gives_its_bearer_what_was_said_and_nobody_else(given_scopes: dict[str, list[str]]) -> None:
    issued = {name: issue(name, allowed) for name, allowed in given_scopes.items()}
    access = parse("\n".join(line for _, line in issued.values()))
    assert len(access.tokens) == len(issued)
    for name, (token, line) in issued.items():
        caller = access.tokens[hashed(token)]
        assert (caller.identity, caller.scopes) == (name, frozenset(given_scopes[name]))
        assert token not in line
        assert hashed(token[:-1]) not in access.tokens
        assert hashed(token.swapcase()) not in access.tokens


@given(st.text())
def test_any_text_is_read_or_refused_by_a_problem(text: str) -> None:
    refused = ""
    try:
        access = parse(text)
    except Problem as problem:
        refused = problem.code
    assert refused == "ACCESS_INVALID" or access.tokens or access.certificates


def test_tokens_have_256_bits_and_are_never_the_same() -> None:
    tokens = {issue("portal", ["predict"])[0] for _ in range(1_000)}
    assert len(tokens) == 1_000
    for token in tokens:
        secret = token.removeprefix(PREFIX)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
        assert 43 * math.log2(64) >= 256
    # each place takes many values: nothing of it is fixed, or counts up
    assert min(len({token[place] for token in tokens}) for place in range(len(PREFIX), 46)) > 30


def test_comments_blanks_and_two_tokens_of_one_name_are_fine() -> None:
    other = HASH.replace("0f", "1e")
    access = parse(
        f"# all of them\n\nportal predict {HASH}  # the old one\n portal\tpredict,report\t{other}\ncert:* report\n"
    )
    assert [sorted(caller.scopes) for caller in access.tokens.values()] == [["predict"], ["predict", "report"]]
    assert access.identities() == {"portal", "cert:*"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names nobody"),
        ("# nobody any more\n", "names nobody"),
        ("portal predict", "line 1: has 2 words"),
        (f"portal predict {HASH}\nslurm", "line 2: has 1 words"),
        (f"portal predict {HASH[:-1]}", "line 1: the last word is no SHA-256"),
        (f"portal predict {HASH.upper()}", "no SHA-256"),
        (f"portal predict,own {HASH}", "'own' is no scope"),
        (f"portal , {HASH}", "'' is no scope"),
        (f"Konrad/Zuse predict {HASH}", "'Konrad/Zuse' is no name"),
        (f"cert:portal predict {HASH}", "has 3 words"),
        (f"a predict {HASH}\nb predict {HASH}", "line 2: is there twice"),
        ("cert:a predict\ncert:a report", "line 2: is there twice"),
    ],
)
def test_what_breaks_the_form_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(Problem, match=re.escape(says)) as caught:
        parse(text)
    assert caught.value.code == "ACCESS_INVALID"
    assert "rt-predictor-api token" in caught.value.remedy


def test_a_token_in_place_of_its_hash_is_not_repeated_in_the_error() -> None:
    token, _ = issue("portal", ["predict"])
    with pytest.raises(Problem) as caught:
        parse(f"portal predict {token}")
    assert token not in str(caught.value)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rt_predictor_api", "token", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_prints_a_token_and_the_line_that_knows_it() -> None:
    done = command("slurm", "--scope", "predict", "--scope", "report")
    assert done.returncode == 0, done.stderr
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    access = parse(told["line, for RT_PREDICTOR_ACCESS_FILE"])
    caller = access.tokens[hashed(told["token, for slurm"])]
    assert (caller.identity, caller.scopes) == ("slurm", {"predict", "report"})


@pytest.mark.parametrize(
    "arguments", [("konrad zuse", "--scope", "predict"), ("portal",), ("portal", "--scope", "own")]
)
def test_the_command_refuses_a_bad_name_or_scope(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "rror: " in done.stderr

"""sbatch's variables stand between the script and the command line."""

import pytest

from rt_predictor_formats.errors import Problem
from rt_predictor_formats.sbatch import parse_script

SCRIPT = "#!/bin/sh\n#SBATCH -N 4 --ntasks-per-node=36 --time=60 --mem=64G --gpus=8 -A physics\n"


def test_options_beat_variables_which_beat_the_script() -> None:
    variables = {"SBATCH_TIMELIMIT": "45", "SBATCH_ACCOUNT": "chemistry", "SBATCH_QOS": "high", "SBATCH_DEBUG": "1"}
    found = parse_script(SCRIPT, ["-t", "30"], variables)
    assert (found.wallclock_req, found.account, found.qos, found.nodes_req) == (1800, "chemistry", "high", 4)


def test_another_way_to_ask_replaces_the_weaker_one() -> None:
    found = parse_script(SCRIPT, ["--gpus-per-node=1", "-N2"], {"SBATCH_MEM_PER_CPU": "1G"})
    assert (found.gpus_req, found.mem_req) == (2, 72 * 1024.0)


def test_an_empty_variable_says_nothing() -> None:
    assert parse_script(SCRIPT, (), {"SBATCH_ACCOUNT": ""}).account == "physics"


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(Problem) as caught:
        parse_script(SCRIPT, (), {"SBATCH_TIMELIMIT": "later"})
    assert caught.value.place == "SBATCH_TIMELIMIT"

"""What there is in a folder of models, and the way back, by the command."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rt_predictor_core.artifact.files import HISTORY
from rt_predictor_core.artifact.load import newest, versions
from rt_predictor_core.artifact.manifest import PromotionEntry
from rt_predictor_training.cli import synthesize, train
from rt_predictor_training.report.versions import promoted


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(train, [*map(str, arguments)])


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models, the second of more jobs; treat it as read-only."""
    base = tmp_path_factory.mktemp("two")
    log, models = base / "log.parquet", base / "models"
    assert CliRunner().invoke(synthesize, ["--rows", "1500", "--out", str(log)]).exit_code == 0
    for jobs in (1000, 1500):
        done = command("--data", log, "--models", models, "--profile", "quick", "--sample-size", jobs)
        assert done.exit_code == 0, done.output
    return models


@pytest.fixture
def models(two: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two, tmp_path / "models"))


def rows(models: Path) -> list[list[str]]:
    done = command("--list", "--models", models)
    assert done.exit_code == 0, done.output
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines()]
    return [row for row in cells if len(row) > 1 and row[1]]


def test_the_list_names_every_version_and_marks_the_current_one(models: Path) -> None:
    newer, older = versions(models)
    assert [(row[0], row[1], row[3]) for row in rows(models)] == [("*", newer, "1500"), ("", older, "1000")]
    mae = newest(models).manifest.scores[0]["mae_h"]
    assert rows(models)[0][4] == f"{mae:.3f}"


def test_a_damaged_version_is_listed_as_invalid_and_not_as_current(models: Path) -> None:
    newer, older = versions(models)
    (models / newer / HISTORY).write_bytes(b"")
    marked = {row[1]: (row[0], row[-1].partition(":")[0]) for row in rows(models)}
    assert marked[newer] == ("", "invalid")
    assert marked[older][0] == "*"


def test_a_roll_back_makes_the_older_model_current_and_a_second_one_changes_nothing(models: Path) -> None:
    newer, older = versions(models)
    done = command("--rollback", older, "--models", models)
    assert done.exit_code == 0, done.output
    assert newest(models).manifest.jobs == 1000
    current, *rest = versions(models)
    assert rest == [newer, older]
    assert str(models / current) in done.output
    assert rows(models)[0][:2] == ["*", current]
    again = command("--rollback", older, "--models", models)
    assert (again.exit_code, versions(models)) == (0, [current, newer, older])
    assert "current already" in again.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--rollback", "v1"], "VERSION_UNKNOWN"),
        (["--rollback", "v1", "--data", "log"], "OPTIONS"),
        (["--list", "--rollback", "v1"], "OPTIONS"),
        ([], "OPTIONS"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_changes_nothing(models: Path, arguments: list[str], code: str) -> None:
    before = versions(models)
    done = command("--models", models, *arguments)
    assert done.exit_code == 1
    assert re.fullmatch(rf"error: .* \[{code}\]\n", done.stderr)
    assert versions(models) == before


def test_an_empty_folder_has_nothing_to_list(tmp_path: Path) -> None:
    done = command("--list", "--models", tmp_path)
    assert done.exit_code == 1
    assert done.stderr.endswith("[NO_MODEL]\n")


@pytest.mark.parametrize(
    ("promotion", "words"),
    [
        (None, "not recorded"),
        (PromotionEntry(findings=("RTP102",)), "compared with the baselines only; RTP102"),
        (PromotionEntry("v1", 300, 1.0, 1.25), "1.000 h against 1.250 h of v1 on 300 jobs"),
        (PromotionEntry("v1", 300, 2.0, 1.25, forced=True), "forced: 2.000 h against 1.250 h of v1 on 300 jobs"),
        (PromotionEntry(rolled_back_to="v1", rolled_back_from="v2"), "rolled back to v1 from v2"),
    ],
)
def test_the_promotion_is_told_in_words(promotion: PromotionEntry | None, words: str) -> None:
    assert promoted(promotion) == words

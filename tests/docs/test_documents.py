"""What the documents say exists, exists."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rt_predictor_core.schema import BY_NAME, COLUMNS
from rt_predictor_formats.sacct import EXPORT_COMMAND, FIELDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("rt-predictor-*/*.md"),
        *ROOT.glob("proto/*.md"),
    ]
    if ".venv" not in path.parts
)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("document", DOCUMENTS, ids=names(DOCUMENTS))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+):(?:.*)## ", makefile, re.MULTILINE))


def test_every_make_target_that_is_named_exists() -> None:
    named = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        commands = re.findall(r"`(make [a-z][^`]*)`", text)
        commands += [
            line.strip()
            for block in FENCE.findall(text)
            for line in block.splitlines()
            if line.strip().startswith("make ")
        ]
        for command in commands:
            words = command.split("#")[0].split()[1:]
            named |= {word for word in words if re.fullmatch(r"[a-z0-9-]+", word)}
    assert {"test", "lint", "setup"} <= named
    assert named - targets() == set()


def test_every_target_is_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert [target for target in sorted(targets() - {"help"}) if f"make {target}" not in reference] == []


def test_every_installed_command_is_in_the_reference_and_the_other_way_round() -> None:
    ours = {point.name for point in entry_points(group="console_scripts") if point.value.startswith("rt_predictor")}
    reference = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(rtp|rt-predictor-[a-z]+)[ `]", reference))
    assert ours == named


def test_every_rtp_subcommand_that_is_named_exists() -> None:
    rtp = Path(sys.executable).parent / "rtp"
    listing = subprocess.run([rtp, "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  ([a-z]+) ", listing, re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        lines = [line for block in FENCE.findall(text) for line in block.splitlines()] + re.findall(
            r"`(rtp [^`]+)`", text
        )
        named = {match[1] for line in lines if (match := re.match(r"\s*(?:\.venv/bin/)?rtp ([a-z]+)", line))}
        assert named <= known, document


def test_help_alone_lists_every_target() -> None:
    listing = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"^  ([a-z0-9-]+) ", listing, re.MULTILINE)) == targets()


def test_the_settings_reference_is_what_the_settings_say() -> None:
    script = [sys.executable, ROOT / "scripts/settings_reference.py", "--check"]
    assert subprocess.run(script, capture_output=True, text=True, check=False).stderr == ""


def test_the_changelog_begins_with_what_an_operator_has_to_do() -> None:
    headings = re.findall(r"^##+ (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", "What an operator has to do"]


def test_decisions_have_status_context_decision_and_consequences() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^Status: (accepted|superseded by \d{4})", text, re.MULTILINE), path
        assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path


@pytest.mark.parametrize("document", ["README.md", "docs/how-to/train-on-your-log.md"])
def test_the_documented_export_is_the_one_that_the_parser_knows(document: str) -> None:
    text = " ".join((ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ").split())
    assert EXPORT_COMMAND in text


def test_the_documented_report_asks_for_the_same_fields() -> None:
    assert ",".join(FIELDS) in (ROOT / "docs/how-to/report-finished-jobs.md").read_text(encoding="utf-8")


def test_every_column_of_the_schema_is_in_the_log_formats() -> None:
    rows = re.findall(
        r"^\| ([a-z_]+) \| (\S+)", (ROOT / "docs/reference/log-formats.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [row for row in rows if row[0] in BY_NAME] == [(column.name, column.unit) for column in COLUMNS]

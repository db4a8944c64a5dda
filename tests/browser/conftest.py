"""The real service with a real artifact, the pages served by Streamlit, and Chromium."""

from __future__ import annotations

import http.client
import json
import mimetypes
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import streamlit
from free_ports import free_port

from rt_predictor_client import Client

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
JOBS = 6000
HOUR = 3600
BEGIN = int(time.time()) // HOUR * HOUR - 2 * HOUR
"""When the last job was submitted that tests report: the same in all tests, though an hour ends between two."""
DEADLINE = 120.0
"""How long a process may take to answer [s]; compiling the kernels takes most of it."""


def chromium() -> str | None:
    """Return the path of the system's Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without settings that a developer may have set."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RT_PREDICTOR_")}
    return {**own, **variables}


def run_command(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [str(BIN / name), *map(str, arguments)], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def wait_until(holds: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    """Poll until something holds; fail with a text after the deadline."""
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)


@dataclass
class Process:
    """A process whose output goes to a file."""

    command: list[str]
    log: Path
    variables: dict[str, str]
    running: subprocess.Popen[bytes] | None = None

    def start(self, answers: Callable[[], bool]) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                self.command, env=environment(**self.variables), cwd=self.log.parent, stdout=log, stderr=log
            )
        wait_until(lambda: self._alive() and answers(), self._last_words)

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.wait(60)

    def _alive(self) -> bool:
        assert self.running is not None
        assert self.running.poll() is None, self._last_words()
        return True

    def _last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


@dataclass
class Site:
    """API and pages, on ports of their own."""

    models: Path
    folder: Path
    port: int = field(default_factory=free_port)
    ui_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    api: Process | None = None
    ui: Process | None = None

    @property
    def address(self) -> str:
        """Where a browser finds the pages."""
        return f"http://127.0.0.1:{self.ui_port}"

    def start_api(self, *, with_model: bool = True) -> None:
        flags = [f"--models={self.models}", f"--history={self.folder / 'history'}", f"--port={self.port}"]
        command = [str(BIN / "rt-predictor-api"), *flags, f"--metrics-port={self.metrics_port}"]
        self.api = Process(
            command, self.folder / "api.log", {} if with_model else {"RT_PREDICTOR_WAIT_FOR_MODEL": "true"}
        )
        self.api.start(self._api_answers if with_model else self._api_listens)

    def start_ui(self, **variables: str) -> None:
        options = [f"--server.port={self.ui_port}", "--server.address=127.0.0.1", "--server.headless=true"]
        command = [str(BIN / "streamlit"), "run", str(ROOT / "rt-predictor-ui/src/app.py"), *options]
        where = {"RT_PREDICTOR_ADDRESS": f"localhost:{self.port}", "RT_PREDICTOR_METRICS_PORT": str(self.metrics_port)}
        self.ui = Process(command, self.folder / "ui.log", {**where, **variables})
        self.ui.start(self._ui_answers)

    def stop(self) -> None:
        for process in (self.api, self.ui):
            if process is not None:
                process.kill()

    def _api_answers(self) -> bool:
        command = [str(BIN / "rtp"), "--address", f"localhost:{self.port}", "health"]
        return subprocess.run(command, env=environment(), capture_output=True, check=False).returncode == 0

    def _api_listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _ui_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ui_port, timeout=3)
        try:
            connection.request("GET", "/_stcore/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two models, trained for this run: the older one on half of the jobs."""
    folder = tmp_path_factory.mktemp("site")
    for rows in (JOBS // 2, JOBS):
        log = folder / f"{rows}.parquet"
        run_command("rt-predictor-synthesize", "--rows", str(rows), "--out", log)
        arguments = ("--data", log, "--models", folder / "models", "--profile", "quick", "--force")
        run_command("rt-predictor-train", *arguments)
    return folder / "models"


@pytest.fixture(scope="session")
def example(models: Path) -> dict[str, Any]:
    """Return the request of a user whom the model knows."""
    newest = max(models.glob("*/example.json"))
    found: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="session")
def site(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return API and pages for all tests: a start compiles the kernels. Who kills a part starts it again."""
    running = Site(models, tmp_path_factory.mktemp("running"))
    try:
        running.start_api()
        running.start_ui()
        yield running
    finally:
        running.stop()


@dataclass
class Visit:
    """An open page, and what its console complained about."""

    page: Any
    address: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str, heading: str) -> Any:
        """Go to a page by the last part of its address, and wait for its heading."""
        self.page.goto(f"{self.address}/{path}")
        self.page.get_by_role("heading", name=heading).wait_for()
        return self.page


@pytest.fixture
def report(site: Site) -> Callable[[str, int], None]:
    """Return what tells the service of jobs of a user that ended; told again, they count once."""
    return lambda user, count: _report(f"localhost:{site.port}", user, count)


@pytest.fixture(scope="session")
def chrome() -> Iterator[Any]:
    """Start Chromium."""
    from playwright.sync_api import sync_playwright

    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        # a container's root cannot use Chromium's sandbox
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def look(site: Site, chrome: Any) -> Iterator[Callable[..., Visit]]:
    """Return what opens an empty tab, light or dark, of any size."""
    tabs = []

    def open_tab(width: int = 1000, height: int = 1400, scheme: str = "light", **more: Any) -> Visit:
        page = chrome.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
        page.set_default_timeout(1000 * DEADLINE)
        page.route("**/static/**", _fulfil)
        tabs.append(page)
        opened = Visit(page, site.address)
        page.on("console", lambda said: opened.complaints.append(said.text) if _is_complaint(said) else None)
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("request", lambda asked: None if _is_own(asked.url) else opened.foreign.append(asked.url))
        return opened

    yield open_tab
    for page in tabs:
        page.close()


@pytest.fixture
def visit(look: Callable[..., Visit]) -> Visit:
    """Open the first page."""
    opened = look()
    opened.open("", "How long will this job run?")
    return opened


def _report(service: str, user: str, count: int) -> None:
    jobs = [
        {
            "job_id": f"{user}-{number}",
            "user": user,
            "name": f"run_{number % 7}",
            "wallclock_req": 3600 * (1 + number % 5),
            "nodes_req": 1 + number % 3,
            "submit_time": BEGIN - 1000 * number,
        }
        for number in range(count)
    ]
    with Client(service, timeout_seconds=60) as client:
        client.report(jobs)  # so that each has a forecast from before its end
        ends = [
            {
                **job,
                "start_time": job["submit_time"] + 60,
                "end_time": job["submit_time"] + 60 + 300 * (1 + number * 7 % 11),
                "state": "COMPLETED",
            }
            for number, job in enumerate(jobs)
        ]
        client.report(ends)


@cache
def _asset(path: str) -> tuple[bytes, str]:
    """Return one of the files that Streamlit serves unchanged, and its type."""
    folder = (Path(streamlit.__file__).parent / "static/static").resolve()
    file = (folder / path).resolve()
    assert file.is_relative_to(folder)
    return file.read_bytes(), mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def _fulfil(route: Any) -> None:
    """Answer in Streamlit's place for its own files: Chromium gives loads up when a container is started nearby.

    (ERR_NETWORK_CHANGED, whatever it loads from; a page then lacks the part for good.)
    """
    body, kind = _asset(urlsplit(route.request.url).path.partition("/static/")[2])
    route.fulfill(body=body, content_type=kind)


def _is_complaint(said: Any) -> bool:
    """Return whether a line of the console is one; Streamlit looks for its base below a page's own address first."""
    return (
        said.type == "error" and re.search(r"/(analytics|batch|history|model)/_stcore/", said.location["url"]) is None
    )


def _is_own(url: str) -> bool:
    return url.split(":", 1)[0] in {"data", "blob"} or "//127.0.0.1:" in url

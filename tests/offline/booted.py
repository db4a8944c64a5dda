"""A bare Debian that systemd boots as its first process, with no network but its own loopback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from made import run

PACKAGES = "systemd-sysv,dbus,sudo,python3,libgomp1,nginx-light"
"""What the guide takes for granted or names, and no more."""

PATIENCE = 300.0
"""How long something may take at most [s]."""


class Machine:
    """A booted machine.

    Attributes
    ----------
    root: its file system, seen from here.
    """

    def __init__(self, root: Path, nspawn: subprocess.Popen[bytes]) -> None:
        self.root = root
        self._nspawn = nspawn

    def ask(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash as its root, and return what it said, whatever its status."""
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        inside = ["nsenter", "--target", str(self._first()), "--all", *clean]
        return run(*inside, "bash", "-euo", "pipefail", "-c", f"cd /root\n{script}", timeout=PATIENCE)

    def run(self, script: str) -> str:
        """Run a script of bash as its root, which must succeed, and return what it wrote."""
        done = self.ask(script)
        assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def until(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until something holds; fails with what the journal says."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"not seen: {what}\n{self.ask('journalctl -n 60 --no-pager').stdout}"
            time.sleep(0.5)

    def runs(self) -> bool:
        """Return whether its first process is up; skips where this machine lets nobody boot one."""
        if self._nspawn.poll() is not None:
            pytest.skip(
                f"systemd-nspawn cannot boot a machine here: {self.root.with_suffix('.log').read_text()[-500:]}"
            )
        return bool(self._children()) and self.ask("systemctl is-system-running").stdout.strip() == "running"

    def _first(self) -> int:
        return int(self._children()[0])

    def _children(self) -> list[str]:
        return Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text("utf-8").split()


@contextmanager
def machine(folder: Path, shared: Path) -> Iterator[Machine]:
    """Make a machine in ``folder`` and boot it, with ``shared`` read-only at ``/mnt``; skips where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("not root: systemd boots nothing; run it with sudo")
    for program, package in (("systemd-nspawn", "systemd-container"), ("mmdebstrap", "mmdebstrap")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here: systemd boots nothing; run: sudo apt-get install {package}")
    root = folder / "machine"
    fast = ["--variant=minbase", "--dpkgopt=force-unsafe-io", "--quiet"]
    done = run("mmdebstrap", "--mode=root", *fast, f"--include={PACKAGES}", "bookworm", root)
    if done.returncode:
        pytest.skip(f"mmdebstrap makes no Debian here: {done.stderr[-500:]}")
    (root / "etc/hostname").write_text("bare\n", "utf-8")
    (root / "etc/hosts").write_text("127.0.0.1 localhost bare\n", "utf-8")
    # a unit of its own is systemd's to give, where it runs this machine too
    unit = [] if Path("/run/systemd/system").exists() else ["--keep-unit"]
    alone = ["--private-network", "--register=no", "--link-journal=no", "--console=pipe", "--machine=bare", *unit]
    with root.with_suffix(".log").open("wb") as log:
        nspawn = subprocess.Popen(
            ["systemd-nspawn", "--boot", f"--directory={root}", f"--bind-ro={shared}:/mnt", *alone],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        booted = Machine(root, nspawn)
        booted.until("the machine is up", booted.runs)
        yield booted
    finally:
        nspawn.send_signal(signal.SIGTERM)  # which it takes for the power button
        try:
            nspawn.wait(60)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait()
        shutil.rmtree(root, ignore_errors=True)

"""A file server for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from threading import Thread

import pytest
from file_server import NAME, Files, Handler


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a server that gives what Handler.now says."""
    with pytest.MonkeyPatch.context() as patch, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        patch.setenv("NO_PROXY", "127.0.0.1")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{NAME}"
        server.shutdown()
        thread.join()


@pytest.fixture
def files(address: str) -> Files:
    """The server with nothing wrong and 100 kB in its file."""
    Handler.now = Files(content=bytes(range(250)) * 400, url=address)
    return Handler.now

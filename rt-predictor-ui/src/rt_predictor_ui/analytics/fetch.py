"""One HTTP answer, or a problem in the words of a page."""

from __future__ import annotations

from collections.abc import Mapping

import requests

from rt_predictor_formats.errors import Problem

SECONDS = (1.5, 4.0)
"""Longest wait for a connection and for an answer [s]: a page is waiting."""


class NotTold(Problem):
    """A source of figures that cannot be read now."""


def fetch(
    url: str, remedy: str, data: Mapping[str, str] | None = None, *, ca_file: str | None = None
) -> requests.Response:
    """Return the answer to a GET, or with ``data`` to a POST; raises NotTold, with ``remedy``, unless it is a 200.

    ``ca_file`` names the authorities that may have signed the certificate, where not those of the machine.
    """
    try:
        # what a redirection leads to, nobody has set
        response = requests.request(
            "GET" if data is None else "POST",
            url,
            data=data,
            timeout=SECONDS,
            verify=ca_file or True,
            allow_redirects=False,
        )
    except requests.exceptions.SSLError:
        raise NotTold("METRICS_UNREADABLE", "its certificate is not accepted", place=url, remedy=remedy) from None
    except requests.Timeout:
        raise NotTold("METRICS_UNREADABLE", "no answer in time", place=url, remedy=remedy) from None
    except (requests.RequestException, OSError):  # OSError: a ca_file that is not there
        raise NotTold("METRICS_UNREADABLE", "nothing answers", place=url, remedy=remedy) from None
    if response.status_code != requests.codes.ok:
        thing = f"the answer is HTTP {response.status_code}"
        raise NotTold("METRICS_UNREADABLE", thing, place=url, remedy=remedy)
    return response

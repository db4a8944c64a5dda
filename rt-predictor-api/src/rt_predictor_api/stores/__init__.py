"""What the service keeps outside of its memory."""

from __future__ import annotations

from rt_predictor_api.replica import Journaled
from rt_predictor_api.settings import Settings
from rt_predictor_core.history.journal import Journal

JOURNAL = "journal.sqlite3"
"""Name of the journal in the folder of the history."""


def journal_of(settings: Settings) -> Journaled:
    """Return the journal that the settings name.

    Raises
    ------
    Problem
        ``HISTORY_NOT_WRITABLE`` or ``HISTORY_CORRUPT`` for a file; a server may come later.
    """
    url = settings.redis_url.get_secret_value()
    if not url:
        return Journal(settings.history / JOURNAL)
    # whoever does without needs none of its memory
    from rt_predictor_api.stores.redis import RedisJournal

    return RedisJournal(url, settings.redis_seconds, trusted=settings.redis_trusted)

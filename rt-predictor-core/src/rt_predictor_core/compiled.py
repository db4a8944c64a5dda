"""Where compiled code is kept: a folder that numba finds, and a word about it where it finds none."""

from __future__ import annotations

from rt_predictor_formats.errors import Problem

FOLDER_VARIABLE = "NUMBA_CACHE_DIR"


def unkept(error: RuntimeError) -> Problem:
    """Return what a person can do where no folder takes compiled code; raises any other error again."""
    if "no locator available" not in str(error):
        raise error
    thing = "compiled code can be kept neither there, nor in the home folder, nor beside the program"
    return Problem(
        "COMPILED_NOT_WRITABLE", thing, place=FOLDER_VARIABLE, remedy="set it to a folder that may be written"
    )

"""A fork of this process in which a test may die, as a run does that is killed."""

import os
import traceback
from collections.abc import Callable

import pytest

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

TRACEBACK = 8


def in_a_fork(action: Callable[[], int]) -> int:
    """Run an action in a fork; the status it returned, `TRACEBACK`, or minus the signal."""
    child = os.fork()
    if child == 0:
        status = TRACEBACK
        try:
            status = action()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # nothing is cleared up
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

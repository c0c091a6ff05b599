"""One exception tree, and one place that says whose fault a failure is.

::

    RrvfError
    ├── UserError        a mistake the reader can mend; the message is one line that names the mend
    │   ├── DataError    a dataset, predictions file or configuration that cannot be used
    │   │   └── OtherRunError  a folder of a run with other settings; has a line for each of them
    │   └── SetupError   something this machine lacks: a package, a browser, a confinement level
    └── HarnessError     our own failure: the sample becomes unscored, never zero

Failures of the model's code are no exceptions: they are the ``status`` of a rendering.
:class:`TooLargeError` never gets further than to where that status is given.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from contextlib import contextmanager


class RrvfError(Exception):
    """Base of everything this package raises on purpose."""


class UserError(RrvfError):
    """A mistake its reader can mend; printed as one line, without a traceback."""


class DataError(UserError):
    """A dataset, predictions file or configuration that cannot be used."""


class OtherRunError(DataError):
    """A folder that holds a run with other settings.

    Attributes:
        head: What is wrong, in one line.
        lines: One for each setting that differs.
    """

    def __init__(self, head: str, lines: Sequence[str]) -> None:
        super().__init__("\n".join((head, *lines)))
        self.head, self.lines = head, tuple(lines)


class SetupError(UserError):
    """Something this machine lacks."""


class HarnessError(RrvfError):
    """Our own failure: whoever was being scored is unscored, not zero."""


class TooLargeError(ValueError):
    """What a stranger's code made is larger than is looked at; the message says what and how."""


@contextmanager
def boundary(activity: str) -> Generator[None]:
    """Turn an unexpected failure inside into a :class:`HarnessError` that says what was under way.

    A full disk is the exception: every later sample would fail alike, so it stops the run.

    Args:
        activity: What the code inside does, as in ``"scoring bar_4"``.

    Raises:
        UserError: On "no space left", and whatever user error the code inside raised.
        HarnessError: On everything else.
    """
    try:
        yield
    except RrvfError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left while {activity}; free some space and run the same command again "
                "to go on from here"
            ) from error
        raise HarnessError(f"{activity}: {type(error).__name__}: {error}") from error
    except Exception as error:
        raise HarnessError(f"{activity}: {type(error).__name__}: {error}") from error

"""The exceptions of the package, and the one place that decides whose fault a failure is.

::

    RrvfError
    ├── UserError        a mistake the reader can fix; the message is one line that says how
    │   ├── DataError    a dataset, predictions file or configuration that cannot be used
    │   │   └── OtherRunError  a folder of a run with other settings; one line for each of them
    │   └── SetupError   something is missing here: a package, a browser, a confinement level
    └── HarnessError     our own failure: the sample is unscored, never zero

A failure of the model's code is not an exception: it is the ``status`` of a rendering.
:class:`TooLargeError` is caught where that status is set.
"""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from contextlib import contextmanager


class RrvfError(Exception):
    """Base class of everything that this package raises on purpose."""


class UserError(RrvfError):
    """A mistake that the user can fix; printed as one line, without a traceback."""


class DataError(UserError):
    """A dataset, predictions file or configuration that cannot be used."""


class OtherRunError(DataError):
    """The folder holds a run with other settings.

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
    """Our own failure: the sample is unscored, not zero."""


class TooLargeError(ValueError):
    """The output of untrusted code is too large to be read; the message says how large."""


@contextmanager
def boundary(activity: str) -> Generator[None]:
    """Turn an unexpected failure inside into a :class:`HarnessError` that names the activity.

    A full disk is the exception: every later sample would fail too, so it stops the run.

    Args:
        activity: What the code inside does, as in ``"scoring bar_4"``.

    Raises:
        UserError: On "no space left", and every user error that the code inside raises.
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
                "to resume"
            ) from error
        raise HarnessError(f"{activity}: {type(error).__name__}: {error}") from error
    except Exception as error:
        raise HarnessError(f"{activity}: {type(error).__name__}: {error}") from error

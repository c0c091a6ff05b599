"""A separate program that executes chart scripts, each in a confined fork, and records drawings.

It needs only the standard library and the plotting packages, and imports nothing else from this
project. So it can run under an interpreter with other package versions than the host's::

    PYTHON rrvf/renderers/chart_server/__main__.py FD

``FD`` is one end of a Unix stream socket; :mod:`.wire` describes the messages on it.

========== =====================================================================================
module     holds
========== =====================================================================================
server     the loop: requests in, one fork per execution, deadlines, answers out
child      the work inside the fork: confine, execute, draw, record, answer
plan       where the official scorer would cut into the source, found before it runs
recorder   what is recorded, and the wrapper that records it
colors     how the colours of drawn objects are read
install    which functions are wrapped
packages   what is imported before the first fork
preload    what the forks inherit: the packages, warmed up, and the recorder
memory     the heap, prepared for sharing
confine    namespaces, Landlock, seccomp, limits, privileges
integrity  functions that a script must not change, and how changes are undone
wire       framing
========== =====================================================================================
"""

"""A program of its own: executes chart scripts, each in a confined fork, and records.

It needs the standard library and the plotting packages only, and imports nothing else of this
project, so that it can run under an interpreter with other package versions than the host's::

    PYTHON rrvf/renderers/chart_server/__main__.py FD

where ``FD`` is one end of a Unix stream socket; :mod:`.wire` describes what is said on it.

========== =====================================================================================
module     holds
========== =====================================================================================
server     the loop: requests in, one fork an execution, deadlines, answers out
child      what happens inside the fork: confine, execute, draw, record, answer
plan       where the official scorer would cut into the source, found out before it runs
recorder   what is noted, and the wrapper that notes it
colors     how the colours of drawn objects are read
install    which functions are wrapped
packages   what is imported before the first fork
preload    what the forks inherit: all of that, warmed up, and the recorder
memory     the heap, made ready to be shared
confine    namespaces, Landlock, seccomp, limits, privileges
integrity  which functions a script must leave alone, and putting back what it may have changed
wire       framing
========== =====================================================================================
"""

"""Where this package's benchmarks and models meet VLMEvalKit; the only code that imports it.

``register()`` makes them known to VLMEvalKit in this process; ``python -m vlmeval_plugin ARGS...``
is VLMEvalKit's own ``run.py`` after that. Importing this package does nothing.
"""

from __future__ import annotations

from vlmeval_plugin.registration import register

__all__ = ["register"]

"""Connects our benchmarks and models to VLMEvalKit; the only code that imports it.

``register()`` adds them to VLMEvalKit in this process. ``python -m vlmeval_plugin ARGS...``
registers them and starts VLMEvalKit's unmodified ``run.py``. Importing this package changes
nothing.
"""

from __future__ import annotations

from vlmeval_plugin.registration import register

__all__ = ["register"]

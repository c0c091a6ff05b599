"""OpenEnv: the environment as its users expect it, and as TRL's ``environment_factory`` takes it.

``models`` are what crosses the wire, ``server`` answers (``rrvf serve BENCHMARK --interface
openenv``), ``client`` asks, ``trl`` makes environments for TRL's ``GRPOTrainer`` of the client.
"""

from __future__ import annotations

from rrvf.trainers.openenv.client import RrvfEnv
from rrvf.trainers.openenv.models import RrvfAction, RrvfObservation, RrvfState

__all__ = ["RrvfAction", "RrvfEnv", "RrvfObservation", "RrvfState"]

"""OpenEnv: the environment for its users and for TRL's ``environment_factory``.

``models`` are the messages on the wire, ``server`` answers (``rrvf serve BENCHMARK --interface
openenv``), ``client`` asks, and ``trl`` makes environments for TRL's ``GRPOTrainer`` from the
client.
"""

from __future__ import annotations

from rrvf.trainers.openenv.client import RrvfEnv
from rrvf.trainers.openenv.models import RrvfAction, RrvfObservation, RrvfState

__all__ = ["RrvfAction", "RrvfEnv", "RrvfObservation", "RrvfState"]

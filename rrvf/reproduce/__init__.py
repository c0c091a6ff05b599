"""One row of the paper's tables by one command: data, servers, episodes, judge, and the row itself.

A *recipe* (:mod:`rrvf.reproduce.recipe`) says what a row needs. :func:`reproduce` goes through the
steps; each finds in the folder what an earlier start left, so that the same command goes on.
"""

from __future__ import annotations

from rrvf.reproduce.job import Job
from rrvf.reproduce.needs import MissingError
from rrvf.reproduce.plan import describe_plan
from rrvf.reproduce.recipe import Recipe, list_recipes, read_recipe
from rrvf.reproduce.steps import reproduce

__all__ = [
    "Job",
    "MissingError",
    "Recipe",
    "describe_plan",
    "list_recipes",
    "read_recipe",
    "reproduce",
]

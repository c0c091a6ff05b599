"""One row of the paper's tables by one command: data, servers, episodes, judge, and the row.

A *recipe* (:mod:`rrvf.reproduce.recipe`) says what a row needs. :func:`reproduce` runs the steps.
Each step finds the results of an earlier start in the folder, so the same command resumes.
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

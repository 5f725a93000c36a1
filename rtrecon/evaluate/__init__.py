"""How good a reconstruction is, and how one would know: `rtrecon evaluate`."""

from rtrecon.evaluate.command import evaluate
from rtrecon.evaluate.evaluation import Evaluation, evaluation_table
from rtrecon.evaluate.plan import Plan, Simulation

__all__ = ["Evaluation", "Plan", "Simulation", "evaluate", "evaluation_table"]

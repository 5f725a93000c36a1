"""How good a reconstruction is, and how one would know: `rtrecon evaluate`."""

from rtrecon.analysis.evaluation.command import evaluate
from rtrecon.analysis.evaluation.evaluation import Evaluation, evaluation_table
from rtrecon.analysis.evaluation.request import Plan, Simulation

__all__ = ["Evaluation", "Plan", "Simulation", "evaluate", "evaluation_table"]

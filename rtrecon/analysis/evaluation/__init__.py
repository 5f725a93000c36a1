"""How good a reconstruction is, and how one would know: `rtrecon evaluate`."""

from rtrecon.analysis.evaluation.evaluate import evaluate_session
from rtrecon.analysis.evaluation.request import EvaluationRequest, SimulationRequest
from rtrecon.analysis.evaluation.result import EvaluationResult, make_terminal_table

__all__ = [
    "EvaluationRequest",
    "EvaluationResult",
    "SimulationRequest",
    "evaluate_session",
    "make_terminal_table",
]

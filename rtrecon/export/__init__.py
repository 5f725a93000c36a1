from rtrecon.export.request import Plan
from rtrecon.export.write import Exported, export_nwb

__all__ = ["Exported", "Plan", "export_nwb"]

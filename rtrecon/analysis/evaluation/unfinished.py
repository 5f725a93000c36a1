"""Files of an unfinished evaluation: its plan and the clips replayed so far.

They lie in a subfolder of the output folder until the evaluation is complete, so that
an interrupted one can be resumed.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.analysis.evaluation.plan import EvaluationPlan
from rtrecon.core.errors import UserError
from rtrecon.core.files import open_atomically, write_atomically
from rtrecon.core.types import Array

_FOLDER, _PLAN_FILE = "unfinished", "plan.json"
_READ_ERRORS = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)

Arrays = Mapping[str, Array]


class UnfinishedFiles:
    """The subfolder of one evaluation. job: all that decides its result, JSON.

    Raises UserError if there are files already, unless `resume` asks to continue them;
    and if they are of another job.
    """

    def __init__(self, output_folder: Path, job: dict[str, Any], *, resume: bool):
        self._folder = output_folder / _FOLDER
        self._job = json.loads(json.dumps(job))
        self.plan: EvaluationPlan | None = None
        if self._plan_path.exists():
            if not resume:
                raise UserError(
                    f"{self._folder} holds an unfinished evaluation; continue it with "
                    "--resume, or delete that folder"
                )
            self.plan = self._read_plan()

    def save_plan(self, plan: EvaluationPlan) -> None:
        """Write the plan; from then on the evaluation can be resumed."""
        self._folder.mkdir(exist_ok=True)
        document = {"job": self._job, "plan": plan.to_json()}
        write_atomically(self._plan_path, json.dumps(document, indent=1) + "\n")

    def load_clip(self, condition: str, index: int) -> Arrays | None:
        """Return the arrays stored for a clip; None without a readable file."""
        path = self._clip_path(condition, index)
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file) as stored:
                return dict(stored)
        except _READ_ERRORS:
            return None  # the clip is replayed again

    def save_clip(self, condition: str, index: int, arrays: Arrays) -> None:
        """Store arrays of a clip."""
        with open_atomically(self._clip_path(condition, index)) as temporary:
            contents: dict[str, Any] = dict(arrays)
            np.savez(temporary, **contents)

    def delete(self) -> None:
        """Delete the subfolder after the evaluation is complete."""
        for file in self._folder.glob("*.npz"):
            file.unlink()
        self._plan_path.unlink(missing_ok=True)
        with suppress(OSError):  # a file of the user's is in it
            self._folder.rmdir()

    @property
    def _plan_path(self) -> Path:
        return self._folder / _PLAN_FILE

    def _clip_path(self, condition: str, index: int) -> Path:
        name = re.sub(r"[^0-9a-z.]+", "-", condition.lower())
        return self._folder / f"{name}-{index:03d}.npz"

    def _read_plan(self) -> EvaluationPlan:
        try:
            document = json.loads(self._plan_path.read_text(encoding="utf-8"))
            stored_job, plan = dict(document["job"]), EvaluationPlan(**document["plan"])
        except _READ_ERRORS:
            raise UserError(
                f"{self._plan_path} cannot be read; delete the folder {self._folder} "
                "and evaluate anew"
            ) from None
        for name, value in self._job.items():
            if stored_job.get(name) != value:
                raise UserError(
                    f"the unfinished evaluation in {self._folder} has {name} = "
                    f"{stored_job.get(name)}, but now it is {value}; resume with the "
                    "same options, or delete that folder"
                )
        return plan

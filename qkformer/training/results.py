"""What a run leaves after each epoch: its checkpoint and its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from ..checkpoints.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from ..checkpoints.errors import CheckpointError
from ..checkpoints.writing import write_whole
from .outputs import Outputs
from .run import TrainingRun


class Results:
    """Written by the main process. facts: of this command, the first line of the log; about: of the run."""

    def __init__(self, outputs: Outputs, run: TrainingRun, facts: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.outputs, self.run, self.facts = outputs, run, facts
        self.about = {name: value for name, value in about.items() if name != "config"}  # a checkpoint has its own

    def write(self) -> None:
        """The checkpoint and the log of the last epoch."""
        if self.run.accelerator.is_main_process:
            self._write_checkpoint()
            self._write_log()

    def complete(self) -> None:
        """After a resumed state was read: write of the last epoch's results what is not there as it should be.

        In the middle of an epoch its weights are no longer those of the last; that checkpoint comes with the next.
        """
        if not (self.run.accelerator.is_main_process and self.run.history):
            return
        if self.run.step == 0 and not self._checkpoint_is_there():
            self._write_checkpoint()
        if not self._log_is_there():
            self._write_log()

    def _write_checkpoint(self) -> None:
        about = {**self.facts, **self.about, **asdict(self.run.history[-1])}
        save_checkpoint(self.run.model, self.outputs.checkpoint, **about)

    def _write_log(self) -> None:
        lines = [json.dumps(dict(self.facts)), *self._epochs()]
        write_whole(self.outputs.log, lambda file: file.write_text("\n".join(lines) + "\n"))

    def _epochs(self) -> list[str]:
        return [json.dumps(asdict(epoch)) for epoch in self.run.history]

    def _checkpoint_is_there(self) -> bool:
        path, own = self.outputs.checkpoint, self.run.model.state_dict()
        try:
            found = load_checkpoint(path)[0].state_dict()
            epoch = read_metadata(path).get("epoch")
        except CheckpointError:
            return False
        same = found.keys() == own.keys() and all(torch.equal(found[key], own[key].cpu()) for key in own)
        return same and epoch == self.run.epoch

    def _log_is_there(self) -> bool:
        try:
            return self.outputs.log.read_text().splitlines()[1:] == self._epochs()
        except (OSError, ValueError):
            return False

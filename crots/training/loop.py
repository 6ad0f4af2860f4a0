"""The loop that all training stages share: resume, step, record, validate, checkpoint, choose, finish."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crots.artefacts import BEST, CHECKPOINT, CHOICE, STUDENT, TEACHER
from crots.config import to_mapping
from crots.data.feed import prefetch
from crots.errors import StageError, Stopped
from crots.events import ArtifactWritten, Event, Metrics, Note, StageStarted
from crots.execution.context import Context, Meter
from crots.execution.draws import seed_step
from crots.execution.workers import unshared_batch_norms
from crots.files import exists, explained, write_json
from crots.nets.weights import save_safetensors
from crots.ownership import remove_tree
from crots.records import fits
from crots.training.checkpoints import DamagedError, read_checkpoint, save_checkpoint
from crots.training.choice import Choice
from crots.training.learner import Figures, Learner, State
from crots.training.watch import Evaluation, EvaluationShape, Watch

# Labels that were renewed within the run; deleted when the stage is complete.
REFRESHED = "refreshed"


@dataclass(frozen=True)
class Training:
    """One run of a training stage.

    Attributes:
        folder: gets ``checkpoint.pt``, ``student.safetensors`` and ``teacher.safetensors``.
        watch: evaluates the student at intervals; decides which checkpoint is kept and when to stop.
        notes: shown to the user at the start.
        fallback: returns weights for the student, and their origin, if no evaluation found a usable one.
        ends_rounds: why no round should follow; empty if the evaluations decide.
    """

    folder: Path
    seed: int
    watch: Watch | None = None
    notes: tuple[Note, ...] = field(default=())
    fallback: Callable[[], tuple[Mapping[str, Tensor], str] | None] | None = None
    ends_rounds: str = ""


def train(learner: Learner, run: Training, context: Context) -> Iterator[Event]:
    """Trains to the last step and writes the student.

    Raises:
        StageError: the loss or the weights are not finite and there is no healthy checkpoint to go back to; the last
            good one is kept.
            Stopped: the user stopped the run; a checkpoint was written.
    """
    total = learner.options.total
    trainer = _Trainer(learner, run, context)
    start = trainer.restore() if context.resume else trainer.clear()
    learner.align()
    yield StageStarted(
        stage=context.stage,
        total=total,
        resumed_at=start,
        device=learner.engine.name,
        options=to_mapping(learner.options),
    )
    yield from run.notes
    if trainer.lost:
        yield Note(stage=context.stage, text=f"{trainer.lost}; the stage starts over", level="warning")
    if note := _statistics_note(learner):
        yield Note(stage=context.stage, text=note, level="warning", known=True)
    if not start:
        learner.begin(context.check)
    yield from trainer.loop(start, total)
    yield from trainer.finish()


def _statistics_note(learner: Learner) -> str:
    if learner.workers.world == 1 or learner.options.frozen:
        return ""
    if not unshared_batch_norms(learner.student.net):
        return ""
    return (
        "several workers: batch norm normalises each worker's part of the batch by itself (on CUDA only the layers of "
        "other packages do) and averages the running statistics, so that results differ from those of one process"
    )


class _NotFiniteError(StageError):
    """The loss or the weights are infinite or NaN."""


class _Trainer:
    def __init__(self, learner: Learner, run: Training, context: Context) -> None:
        self.learner, self.run, self.context = learner, run, context
        self.workers = learner.workers
        self.choice = Choice(
            run.watch.rule if run.watch else "last",
            learner.options.total,
            distils=bool(run.watch and run.watch.distils),
            ends_rounds=run.ends_rounds,
        )
        self.saved_at = 0
        # Why an existing checkpoint could not be resumed.
        self.lost = ""
        # Summed on the device and read only when metrics are recorded: no synchronisation inside a step.
        self._broken = torch.zeros((), dtype=torch.bool, device=learner.engine.device)

    def loop(self, start: int, total: int) -> Iterator[Event]:
        options = self.learner.options
        meter = Meter(self.context.stage, total, images=options.batch, done=start)
        validate_every = options.validate_every or max(1, total // 10)
        if self._left_unwatched(start, validate_every):
            yield from self._watch(start)
        if self._halted():
            return
        try:
            for first, last in self._parts(start, total):
                yield from self._refresh(first)
                batches = prefetch(range(first, last), self.learner.load, workers=2, depth=3)
                try:
                    for step, data in zip(range(first, last), batches, strict=True):
                        self._check_stop(step)
                        figures, rate = self._step(step, data)
                        done = step + 1
                        if done % options.log_every == 0 or done == total:
                            yield self._metrics(done, figures, rate)
                        yield from meter.tick(done)
                        if self.run.watch and (done % validate_every == 0 or done == total):
                            yield from self._watch_or_stop(done)
                        if self._halted():
                            return
                        if done % options.checkpoint_every == 0 or done == total:
                            self.save(done)
                finally:
                    batches.close()
        except _NotFiniteError as error:
            if not self._can_go_back:
                raise
            self.choice.give_up("the loss or the weights became infinite or NaN")
            yield Note(stage=self.context.stage, level="warning", text=str(error))

    def _parts(self, start: int, total: int) -> Iterator[tuple[int, int]]:
        """The remaining steps, in parts that begin at each refresh of the labels: nothing is prefetched beyond."""
        ends = [step for step in self.learner.refreshes if start < step < total]
        return itertools.pairwise([start, *ends, total]) if start < total else iter(())

    def _refresh(self, step: int) -> Iterator[Event]:
        """Renews the labels before ``step`` if that is due; the checkpoint lets a killed run repeat it."""
        if step not in self.learner.refreshes:
            return
        if step > self.saved_at:
            self.save(step)
        number = self.learner.refreshes.index(step)
        text = self.learner.refresh(number, self.context.check)
        yield Note(stage=self.context.stage, text=text)

    def _step(self, step: int, data: Any) -> tuple[Figures, float]:
        seed_step(self.run.seed, self.context.stage, step, self.workers.rank)
        rate = self.learner.rate(step)
        figures = self.learner.step(step, data, rate)
        for value in figures.values():
            self._broken |= ~torch.isfinite(value)
        return figures, rate

    def _check_stop(self, step: int) -> None:
        try:
            self.context.check()
        except Stopped:
            if step > self.saved_at:
                self.save(step)
            raise

    def _metrics(self, done: int, figures: Figures, rate: float) -> Metrics:
        self._check_finite(done)
        shown = self.workers.sum(torch.stack([value.float() for value in figures.values()])).tolist()
        values = dict(zip(figures, shown, strict=True))
        return Metrics(stage=self.context.stage, step=done, values={**values, "learning rate": rate})

    def _check_finite(self, done: int) -> None:
        if not self.workers.any(bool(self._broken)):
            return
        raise _NotFiniteError(f"the loss became infinite or NaN at or shortly before step {done}; {self._way_out()}")

    def _way_out(self) -> str:
        kept = f"the checkpoint of step {self.saved_at} is kept" if self.saved_at else "no checkpoint was written yet"
        rate = f"{self.learner.options.rate:g}"
        return f"{kept}; lower the learning rate (now {rate}) or set `runtime.precision` to fp32; either restarts it"

    def _left_unwatched(self, start: int, every: int) -> bool:
        """Whether a run that begins at step ``start`` has to evaluate that first."""
        if not self.run.watch or self.choice.evaluated_at(start):
            return False
        # The start of the stage is a candidate too: a run that only makes things worse changes nothing.
        due = start % every == 0 or start == self.learner.options.total
        return due if start else self.run.watch.keeps

    def _watch_or_stop(self, done: int) -> Iterator[Event]:
        try:
            yield from self._watch(done)
        except Stopped:
            # The step is kept; the resumed run evaluates it first.
            self.save(done)
            raise

    def _watch(self, done: int) -> Iterator[Event]:
        assert self.run.watch is not None
        teacher = self.learner.teacher.model if self.learner.teacher else None
        with self.learner.as_kept():
            evaluation, events = self.run.watch.evaluate(done, teacher, self.choice.evaluations)
        best_so_far = self.choice.add(evaluation)
        if self.run.watch.keeps and best_so_far:
            self._write(self.run.folder / BEST, {"step": done, **self.learner.weights()})
        yield from events
        serious = next((alarm for alarm in evaluation.alarms if alarm.serious), None)
        if serious and self._can_go_back:
            self.choice.give_up(serious.text)

    def _halted(self) -> bool:
        return bool(self.choice.given_up)

    @property
    def _can_go_back(self) -> bool:
        return bool(self.run.watch and self.run.watch.guard and self.choice.best)

    def save(self, done: int) -> None:
        """Writes the checkpoint of ``done`` steps."""
        self._check_finite(done)
        for name, tensor in self.learner.student.net.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                self._broken |= True
                raise _NotFiniteError(
                    f"the weights became infinite or NaN before step {done} ({name}); {self._way_out()}"
                )
        state = {
            "step": done,
            "seed": self.run.seed,
            "looks": [found.to_dict() for found in self.choice.evaluations],
            "events": self.context.position,
            "card": self.learner.student.card.to_dict(),
            **self.learner.state_dict(),
        }
        self._write(self.run.folder / CHECKPOINT, state)
        self.saved_at = done

    def _write(self, path: Path, state: State) -> None:
        def write() -> None:
            save_checkpoint(path, state)

        self.workers.from_first(write)

    def clear(self) -> int:
        """Removes the files of an earlier run, and starts at step 0."""

        def remove() -> None:
            for name in (CHECKPOINT, STUDENT, TEACHER, CHOICE, BEST):
                with explained(self.run.folder / name):
                    (self.run.folder / name).unlink(missing_ok=True)
            remove_tree(self.run.folder / REFRESHED)

        self.workers.from_first(remove)
        return 0

    def restore(self) -> int:
        """Resumes the last checkpoint, if there is one; returns its step."""
        path = self.run.folder / CHECKPOINT
        if not self.workers.from_first(lambda: exists(path)):
            return self._start_anew()
        try:
            state, evaluations = self._read(path)
        except DamagedError as error:
            self.lost = str(error)
        # All workers resume or none does: the checkpoint may be unreadable for another one.
        if self.workers.any(bool(self.lost)):
            self.lost = self.lost or f"{path}: is damaged"
            return self._start_anew()
        self.learner.load_state_dict(state)
        self.saved_at = state["step"]
        for evaluation in evaluations:
            self.choice.add(evaluation)
        self.context.rewind(state["events"])
        return self.saved_at

    def _start_anew(self) -> int:
        self.context.rewind_run()
        return self.clear()

    def _read(self, path: Path) -> tuple[State, list[Evaluation]]:
        """Reads a checkpoint with its earlier evaluations, whose best weights must exist too."""
        state = read_checkpoint(path, self.learner)
        if not all(fits(row, EvaluationShape) for row in state["looks"]):
            raise DamagedError(f"{path}: is damaged (its record of evaluations)")
        evaluations = [Evaluation.from_dict(row) for row in state["looks"]]
        if self.run.watch and self.run.watch.keeps and any(found.healthy for found in evaluations):
            read_checkpoint(self.run.folder / BEST, self.learner, weights_only=True)
        return state, evaluations

    def finish(self) -> Iterator[Event]:
        """Writes the student (the chosen one, if there is a choice), the teacher, and the choice with its reason."""
        folder, learner, choice = self.run.folder, self.learner, self.choice
        if choice.chosen:
            learner.load_weights(read_checkpoint(folder / BEST, learner, weights_only=True))
        elif choice.unhealthy and self.run.watch and self.run.watch.guard:
            self._fall_back()
        if not choice.replaced_by:
            learner.settle()
        yield from self._average()
        for text, warning in choice.sentences():
            yield Note(stage=self.context.stage, level="warning" if warning else "info", text=text)
        if self.run.watch and self.run.watch.keeps:
            learner.student.card = dataclasses.replace(learner.student.card, note=self._provenance())
        self.workers.from_first(self._write_models)
        yield ArtifactWritten(stage=self.context.stage, kind="checkpoint", path=str(folder / CHECKPOINT))
        yield ArtifactWritten(stage=self.context.stage, kind="model", path=str(folder / STUDENT))

    def _average(self) -> Iterator[Event]:
        """Averages the kept weights with the start, and evaluates the result."""
        choice, watch = self.choice, self.run.watch
        if choice.replaced_by or choice.step == 0 or not self.learner.average(went_back=choice.went_back):
            return
        if watch:
            teacher = self.learner.teacher.model if self.learner.teacher else None
            choice.averaged, events = watch.evaluate(choice.step, teacher, choice.evaluations)
            if events:
                # Else two different scores of one step would follow each other.
                text = f"the weights of step {choice.step}, averaged with the start, are scored once more"
                yield Note(stage=self.context.stage, text=text)
            yield from events

    def _write_models(self) -> None:
        folder, learner = self.run.folder, self.learner
        if (self.run.watch and self.run.watch.keeps) or self.run.ends_rounds:
            write_json(folder / CHOICE, self.choice.report())
        if learner.teacher:
            save_safetensors(folder / TEACHER, learner.teacher.model.net, learner.student.card)
        save_safetensors(folder / STUDENT, learner.student.net, learner.student.card)

    def _fall_back(self) -> None:
        """Takes the weights of another model, if possible, when no evaluation found a usable student."""
        if self.run.fallback and (found := self.run.fallback()):
            weights, self.choice.replaced_by = found
            self.learner.student.net.load_state_dict(weights)

    def _provenance(self) -> str:
        if self.choice.replaced_by:
            return f"{self.context.stage}: nothing was learnt; these are the weights of {self.choice.replaced_by}"
        kept = self.choice.step
        reason = f" ({self.choice.given_up})" if self.choice.given_up else ""
        mean = ", averaged with the start" if self.choice.averaged else ""
        return f"{self.context.stage}: step {kept} of {self.choice.total}{mean}{reason}"

"""The choice of the checkpoint that a stage keeps, among those that were evaluated."""

from __future__ import annotations

from typing import Any

from crots.methods.alarms import VANISHING
from crots.training.watch import Evaluation, Rule

_USELESS = (
    "the student has not learnt the source's pseudo-labels, and no round can correct that; use the source "
    "itself, or check the pseudo-labels, train longer, or give better starting weights"
)

# Share of changed labels: a round that changes fewer has converged, and another would only repeat it.
# Rounds that gained a point or more changed 8 to 18 %, others 2 to 5 %.
ROUND_MARGIN = 0.05
# What a user may do about rounds that are not needed.
_ANYWAY = "; `adapt.stop_rounds` = false runs further rounds anyway"


class Choice:
    """The evaluations of a stage so far, and which of them is kept.

    Attributes:
        evaluations: in order.
        best: the last healthy one, or with the rule ``oracle`` the one of greatest mIoU; None if there is none.
        given_up: why the stage stopped early, empty if it did not.
        replaced_by: the origin of the weights that replace those of a student that learnt nothing.
        averaged: the evaluation of the mean of the chosen weights and the start's, if that is kept.

    Args:
        rule: which of them is kept.
        total: steps of the stage.
        distils: the stage is the baseline, and not a round.
        ends_rounds: why no round should follow, whatever the evaluations say; empty if they decide.
    """

    def __init__(self, rule: Rule, total: int, *, distils: bool = False, ends_rounds: str = "") -> None:
        self.rule, self.total = rule, total
        self._distils, self._no_round = distils, ends_rounds
        self.evaluations: list[Evaluation] = []
        self.best: Evaluation | None = None
        self.given_up = self.replaced_by = ""
        self.averaged: Evaluation | None = None

    def add(self, evaluation: Evaluation) -> bool:
        """Adds an evaluation; returns whether it is the best so far."""
        self.evaluations.append(evaluation)
        if not evaluation.healthy or (
            self.rule == "oracle" and self.best and (evaluation.miou or 0.0) <= (self.best.miou or 0.0)
        ):
            return False
        self.best = evaluation
        return True

    def evaluated_at(self, step: int) -> bool:
        """Whether there was an evaluation at ``step`` or later."""
        return bool(self.evaluations) and self.evaluations[-1].step >= step

    def give_up(self, reason: str) -> None:
        """Records that the stage goes back to the best evaluation."""
        self.given_up = reason

    @property
    def chosen(self) -> Evaluation | None:
        """The evaluation whose checkpoint is kept; None keeps the final weights."""
        return self.best if self.given_up or self.rule != "last" else None

    @property
    def step(self) -> int:
        """The step whose weights are kept."""
        return self.chosen.step if self.chosen else self.total

    @property
    def went_back(self) -> bool:
        """Whether an earlier checkpoint than the last is kept, since later ones have warnings."""
        return self.rule != "oracle" and self.chosen is not None and self.step < self.evaluations[-1].step

    @property
    def unhealthy(self) -> bool:
        """Whether there were evaluations and none found a usable student."""
        return bool(self.evaluations) and self.best is None

    @property
    def kept(self) -> Evaluation | None:
        """The evaluation of the kept weights; None if there was none."""
        return self.averaged or self.learnt

    @property
    def learnt(self) -> Evaluation | None:
        """The evaluation of what was learnt, before it was averaged with the start; None if there was none."""
        last = self.evaluations[-1] if self.evaluations and self.evaluations[-1].step == self.total else None
        return self.chosen or last

    @property
    def problem(self) -> str:
        """What is wrong with what is kept, in few words that follow the stage's name; empty if nothing is known."""
        if self.replaced_by:
            return "learnt nothing usable"
        if self.given_up:
            return f"went back to {self._place}"
        if self.unhealthy:
            return "has not learnt the pseudo-labels"
        return "ended with warnings" if self.kept and not self.kept.healthy else ""

    @property
    def _place(self) -> str:
        """The chosen checkpoint."""
        return f"the checkpoint of step {self.step}" if self.step else "its start"

    @property
    def _all(self) -> list[Evaluation]:
        return [*self.evaluations, *filter(None, [self.averaged])]

    def report(self) -> dict[str, Any]:
        """Returns, as plain data, what was kept, why, and how far it is from the best evaluation by labels."""
        return {
            "rule": self.rule,
            "kept": self.kept.step if self.kept else self.total,
            "of": self.total,
            "averaged": self.averaged is not None,
            "given_up": self.given_up,
            "useless": self.unhealthy and not self.replaced_by,
            "problem": self.problem,
            "words": "; ".join(text for text, _ in self.sentences()),
            "ends_rounds": self._ends_rounds(),
            "oracle": self._hindsight(self.kept),
            # Last what is kept, where that is an average, which has the step of what it was made of.
            "looks": [found.to_dict() for found in self._all],
        }

    def _ends_rounds(self) -> str:
        """Why a round after this stage would not help."""
        if self.replaced_by:
            return ""
        if self._no_round:
            return self._no_round
        stage = "baseline" if self._distils else "previous round"
        if self.given_up or (self.kept and self.kept.step == 0):
            return f"the {stage} {'was stopped by an alarm' if self.given_up else 'kept its start'}{_ANYWAY}"
        if self.evaluations and not self.evaluations[-1].healthy:
            back = f" and went back to {self._place}, which has none" if self.went_back else ""
            return f"the {stage} ended with warnings{back}{_ANYWAY}"
        if self._distils:
            return ""
        # An average with the start halves every change.
        changed = 1.0 - self.learnt.values.get("agreement", 0.0) if self.learnt else 1.0
        if changed >= ROUND_MARGIN:
            return ""
        return f"the {stage} changed {changed:.1%} of the labels, less than {ROUND_MARGIN:.0%}{_ANYWAY}"

    def _hindsight(self, kept: Evaluation | None) -> dict[str, Any] | None:
        """The score against labels; not used for the choice unless the rule is ``oracle``."""
        scored = [found for found in self._all if found.miou is not None]
        if not kept or kept.miou is None:
            return None
        best = max(scored, key=lambda found: found.miou or 0.0)
        return {"miou": kept.miou, "best_step": best.step, "best_miou": best.miou}

    def sentences(self) -> list[tuple[str, bool]]:
        """Describes what is kept, each sentence with whether it is a warning."""
        if self.replaced_by:
            return [(f"the student learnt nothing usable; the weights of {self.replaced_by} are kept instead", True)]
        lines = self._chosen_sentences() if self.chosen else []
        if self.unhealthy:
            lines.append((_USELESS, True))
        elif self.kept and not self.kept.healthy:
            texts = [alarm.text for alarm in self.kept.alarms if not alarm.name.startswith(VANISHING)]
            lines.append((f"what is kept has warnings: {'; '.join(texts) or 'it hardly fits its pseudo-labels'}", True))
        if hindsight := self._hindsight(self.kept):
            miou, best, step = hindsight["miou"], hindsight["best_miou"], hindsight["best_step"]
            alone = " before it was averaged" if self.averaged and step == self.step else ""
            where = f"the best checkpoint, step {step}{alone}, {best:.1%}"
            where = "the best" if f"{best:.1%}" == f"{miou:.1%}" else where
            lines.append((f"by labels (oracle, after the choice): mIoU {miou:.1%} for what is kept; {where}", False))
        return lines

    def _chosen_sentences(self) -> list[tuple[str, bool]]:
        assert self.chosen is not None
        step, end = self.chosen.step, self.evaluations[-1].step
        place = self._place
        mean = ", averaged with the start" if self.averaged else ""
        if self.given_up:
            lines = f"stopped after step {end} of {self.total} and went back to {place}, the best healthy one{mean}"
            return [(f"{lines}: {self.given_up}", True)]
        by_labels = self.rule == "oracle"
        how = "by validation labels (oracle)" if by_labels else "by label-free scores"
        why = ""
        if step == 0 and end:
            why = f"; {'no later checkpoint scores better' if by_labels else 'every later checkpoint has a warning'}"
        elif self.went_back:
            why = "; the later ones have a warning"
        which = ("the start of the stage" if step == 0 else f"{place} of {self.total}") + mean
        return [(f"kept {which}, chosen {how}{why}", False)]

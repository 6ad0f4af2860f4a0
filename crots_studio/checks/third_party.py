"""The finding of the set-up page about third-party code: that it needs trust. It is neither imported nor opened."""

from __future__ import annotations

from collections.abc import Sequence

from crots.trust import Code, listed
from crots_studio.checks.setup import Setup
from crots_studio.models.project_form import Finding, Offer


def code_finding(code: Sequence[Code], setup: Setup, brief: str) -> Finding:
    """The finding about third-party code, which is neither imported nor opened here."""
    if untrusted := tuple(piece for piece in code if piece not in setup.trusted):
        text = f"A run would execute third-party code: {listed(untrusted)}."
        return Finding("bad", text, brief="not trusted", offers=(Offer("I trust this", trust=untrusted),))
    return Finding("good", f"{listed(code)}: trusted in this window; checked when it runs", brief=brief)

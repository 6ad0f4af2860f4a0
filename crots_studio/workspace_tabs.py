"""The tabs of the workspace, as data: the menus know them before any panel is imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tab:
    """A tab; its panel is imported when its turn comes.

    Attributes:
        title: what it is called.
        module: below `crots_studio.panels`.
        panel: the class there.
        icon: of `crots_studio.icons`.
        tip: what is to be found there.
        topic: of the help; empty where it is that of the stage at work or chosen.
        section: of the settings beside it; empty where it is that of the stage at work or chosen, if that trains.
    """

    title: str
    module: str
    panel: str
    icon: str
    tip: str = ""
    topic: str = ""
    section: str = "adapt"

    @property
    def key(self) -> str:
        """The key of the tab: its panel's module, or the folder of that."""
        return self.module.partition(".")[0]


TABS = (
    Tab("Set-up", "setup.panel", "SetupPanel", "setup", "Target images, source model and classes", "target", "data"),
    Tab(
        "Mixing",
        "preview",
        "PreviewPanel",
        "mixing",
        "Preview of the mixed images that the student is trained on",
        "adapt",
    ),
    Tab(
        "Pseudo-labels",
        "pseudo_labels",
        "PseudoLabelPanel",
        "labels",
        "The source's prediction for each target image",
        "pseudo-label",
        "pseudo_label",
    ),
    Tab(
        "Hard patches",
        "patches.panel",
        "PatchPanel",
        "patches",
        "Patches of rare classes: check, reject, relabel",
        "mine",
        "mine",
    ),
    Tab("Monitor", "monitor.panel", "MonitorPanel", "monitor", "Losses, scores and per-class IoU, live", section=""),
    Tab(
        "Before and after",
        "before_after",
        "BeforeAfterPanel",
        "before-after",
        "Predictions of source, baseline and rounds on the same image",
        "evaluate",
    ),
    Tab(
        "Compare",
        "compare.panel",
        "ComparePanel",
        "compare",
        "Runs of this and other projects in one chart",
        "evaluate",
    ),
    Tab(
        "Methods", "methods", "MethodsPanel", "methods", "Several methods compared, each with several seeds", "evaluate"
    ),
)

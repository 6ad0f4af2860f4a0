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
    """

    title: str
    module: str
    panel: str
    icon: str
    tip: str = ""

    @property
    def key(self) -> str:
        """What the tab is asked for by: its panel's module, or the folder of that."""
        return self.module.partition(".")[0]


TABS = (
    Tab("Set-up", "setup.panel", "SetupPanel", "setup", "Which images, which source, which classes"),
    Tab("Mixing", "preview", "PreviewPanel", "mixing", "What the student will see: mixes of your own images"),
    Tab("Pseudo-labels", "pseudo_labels", "PseudoLabelPanel", "labels", "What the source says of each image"),
    Tab("Hard patches", "patches.panel", "PatchPanel", "patches", "Patches of rare classes: look, reject, relabel"),
    Tab("Monitor", "monitor.panel", "MonitorPanel", "monitor", "Losses, scores and classes, live"),
    Tab(
        "Before and after",
        "before_after",
        "BeforeAfterPanel",
        "before-after",
        "Source, baseline and rounds on the same image",
    ),
    Tab("Compare", "compare.panel", "ComparePanel", "compare", "Past runs on one chart"),
    Tab("Methods", "methods", "MethodsPanel", "methods", "Methods compared on these images, over several seeds"),
)

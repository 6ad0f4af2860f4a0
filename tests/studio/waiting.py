"""Waits until a panel shows what its background work found."""


def labels_shown(qtbot, session, panel):
    """Until the panel of pseudo-labels shows an image with its maps."""
    qtbot.waitUntil(lambda: panel.maps is not None and panel.images.labels.labelled, timeout=10_000)
    qtbot.waitUntil(lambda: session.errands.idle, timeout=10_000)
    qtbot.wait(20)


def checks_done(qtbot, panel):
    """Until every check of the set-up page has a finding."""
    findings = panel.form.findings
    qtbot.waitUntil(lambda: all(found.level != "checking" for found in findings.values()), timeout=60_000)

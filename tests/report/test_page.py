import dataclasses
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from crots.events import Remark
from crots.notes import RunNote
from crots.report.facts import (
    Changes,
    ClassChange,
    ClassFacts,
    Curve,
    Facts,
    FileFact,
    KeptModel,
    ModelScore,
    Picture,
    Result,
    Setting,
    SourceFacts,
    StageCurves,
    StageFacts,
    TargetFacts,
)
from crots.report.page import render_page
from crots.report.words import duration
from tests.studio.fake_project import make_fake_project


def test_labels_that_were_averaged_with_the_mirror_image_are_said_to_be():
    facts = facts_with("a")
    assert "mirror image" not in render_page(facts)
    averaged = dataclasses.replace(facts, changes=dataclasses.replace(facts.changes, mirrored=True))
    assert "average each image with its mirror image, round 1 sees it once" in render_page(averaged)


def facts_with(text):
    """Facts in which every word from outside is ``text``."""
    classes = ClassFacts(text, (text,), ((1, 2, 3),), source_name=text, mapped={text: text})
    picture = Picture(text, 0.5, "typical", b"photo", b"before", b"after")
    curve = Curve(text, (1.0, 2.0), (0.5, 0.6))
    scores = (ModelScore("source", 0.4, {text: 0.4}, 50), ModelScore("adapt-1", 0.5, {text: 0.9}, 50))
    choice = KeptModel("adapt-1", 5, 10, text, {}, {}, (text,), (text,))
    return Facts(
        project=text,
        made="2026-11-29T01:16+00:00",
        profile="recommended",
        preset=text,
        settings=(Setting("data.target", text, text, "help"),),
        source=SourceFacts(FileFact(text, 7, "ab" * 32), text, text, 0, None, text, text),
        classes=classes,
        target=TargetFacts(text, 3, "64x48"),
        stages=(StageFacts("adapt-1", "stale", text, 5.0, text, text, (Remark(text, "warning"), Remark(text))),),
        result=Result("adapt-1", scores, (choice,)),
        versions={"crots": "1", "platform": text},
        shares={text: 1.0},
        outputs=(FileFact(text, 7, "cd" * 32),),
        curves=(StageCurves("adapt-1", 10, (curve,), (curve,), curve),),
        changes=Changes("adapt-1", {text: 0.5}, (ClassChange(text, 0.2, 0.01, 0.5, True),), True, (picture,)),
        gaps=(text,),
        note=RunNote(text, text),
        run_notes={"adapt-1": RunNote(text, text)},
    )


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.sources, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.found.append((name, tuple(key for key, _ in attributes)))
        self.sources += [value for key, value in attributes if key in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)


PLAIN = Elements(render_page(facts_with("word"))).found


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=40))
def test_no_word_from_outside_becomes_markup(text):
    assert Elements(render_page(facts_with(text))).found == PLAIN


def test_scripts_in_names_are_shown_and_never_run():
    wild = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></style></title>\udcff"
    text = render_page(facts_with(wild))
    found = Elements(text)
    assert found.found == PLAIN
    assert "<script" not in text
    assert any("<script>alert(1)</script>" in words for words in found.words)
    text.encode("utf-8")


def test_the_page_needs_nothing_besides_itself(tmp_path):
    facts = facts_with("word")
    text = render_page(facts)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    sources = Elements(text).sources
    assert len(sources) == 3 and all(source.startswith("data:image/") for source in sources)
    assert "default-src &#x27;none&#x27;" in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_what_is_missing_is_left_out(tmp_path):
    from crots.report.collect import collect_facts

    project = make_fake_project(tmp_path, until="pseudo-label")
    text = render_page(collect_facts(project))
    assert "Nothing is trained on these labels of the source yet" in text
    for heading in ("Curves", "Before and after"):
        assert f"<h2>{heading}</h2>" not in text
    assert "<h2>Classes</h2>" in text, "the pseudo-labels have shares"
    bare = dataclasses.replace(collect_facts(project), classes=None, shares={}, stages=(), settings=())
    assert "<h2>Classes</h2>" not in render_page(bare) and "<h2>Stages</h2>" not in render_page(bare)


def test_the_table_has_scores_changes_and_shares(tmp_path):
    text = render_page(facts_with("pole"))
    row = re.search(r"<tr><td><span class=\"swatch\"[^>]*></span>pole</td>(.*?)</tr>", text)[1]
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)]
    assert cells == ["40.0", "90.0", "+50.0", "20.0%", "1.0% vanishing", "50%"]


def test_warnings_and_alarms_are_counted_once():
    facts = facts_with("word")
    assert "<b>1</b><span>warnings and alarms</span>" in render_page(facts), "the alarm is the warning"
    stage = StageFacts("adapt-1", "done", remarks=(Remark("another", "warning"), Remark("no warning")))
    assert "<b>2</b><span>warnings and alarms</span>" in render_page(dataclasses.replace(facts, stages=(stage,)))
    quiet = dataclasses.replace(facts, stages=(), result=Result("adapt-1"))
    assert "<b>none</b><span>warnings and alarms</span>" in render_page(quiet)


def test_a_result_of_other_options_is_named_also_where_its_next_run_failed():
    failed = StageFacts("adapt-1", "failed", "out of memory", changed=True)
    facts = dataclasses.replace(facts_with("word"), stages=(failed, StageFacts("export", "failed", "disk full")))
    assert "some have changed since these stages ran: round 1." in render_page(facts)


def test_durations():
    assert [duration(value) for value in (None, 8, 200, 7500)] == ["-", "8.0 s", "3 min 20 s", "2 h 05 min"]


def test_the_title_and_the_notes_of_somebody_are_shown():
    facts = dataclasses.replace(
        facts_with("x"),
        note=RunNote("City at night", "why\nand how"),
        run_notes={"adapt-1": RunNote("no mixing", "worse")},
    )
    text = render_page(facts)
    assert "<h1>City at night: what adaptation changed</h1>" in text
    assert '<p class="note">why\nand how</p>' in text and "no mixing: worse" in text
    nameless = render_page(dataclasses.replace(facts, note=RunNote(), run_notes={}))
    assert "<h1>x: what adaptation changed</h1>" in nameless and "no mixing" not in nameless

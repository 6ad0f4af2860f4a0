"""The documentation says the same as the code: generated pages, links, commands, options, examples."""

import ast
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from crots import card, limits, taxonomy
from crots.cli import main
from crots.cli.command import make_parser, profile_in
from crots.cli.commands import load_command
from crots.cli.commands.options import CLASSES
from crots.cli.flags import settings
from crots.cli.reference import PAGES
from crots.config import describe
from crots.execution import batches
from crots.methods import suspicion
from crots.options import DataOptions
from crots.resources import shipped
from crots.training import balance, choice, label_free

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAPERS = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FILES = sorted([*PAPERS, *DOCS.rglob("*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
OPTIONS = {section: {info.name for info in describe(cls)} for section, cls in CLASSES.items()}


def read(path):
    return path.read_text(encoding="utf-8")


def blocks(kind):
    return [
        pytest.param(body, id=f"{path.relative_to(ROOT)}-{number}")
        for path in FILES
        for number, (_, language, body) in enumerate(FENCE.findall(read(path)))
        if language == kind
    ]


def prose(path):
    return FENCE.sub("", read(path))


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_that_of_the_code(name):
    assert read(DOCS / "reference" / name) == PAGES[name](), "run: python -m crots.cli.reference"


def test_the_picture_and_table_of_the_rooms_are_those_of_the_import_rules():
    rooms = tool("draw_rooms")
    assert rooms.rewritten(read(rooms.PAGE)) == read(rooms.PAGE), "run: python tools/draw_rooms.py"
    assert rooms.picture() == read(rooms.PICTURE), "run: python tools/draw_rooms.py"
    assert "crots_studio.panels" in rooms.picture() and "`crots/methods/`" in rooms.table()


def anchors(path):
    """What a heading is linked by, on GitHub and by MkDocs."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(path))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)]+)\)", prose(path)):
        if re.match(r"https?:", link):
            continue
        target, _, anchor = link.partition("#")
        goal = (path.parent / target).resolve() if target else path
        assert goal.is_file() and goal.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(goal), link


def test_every_page_stands_in_the_navigation():
    text = read(ROOT / "mkdocs.yml")
    named = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    assert {str(path.relative_to(DOCS).as_posix()) for path in DOCS.rglob("*.md")} <= named


def test_every_block_names_its_language():
    assert not [path for path in FILES for _, language, _ in FENCE.findall(read(path)) if not language]


def commands(body):
    """The command lines of ``crots`` in a block for the shell, as words."""
    for line in re.sub(r"\\\n\s*", " ", body).splitlines():
        words = shlex.split(line, comments=True)
        for number, word in enumerate(words):
            if word == "crots" and (number == 0 or words[number - 1] == "-m"):
                end = next((place for place, other in enumerate(words) if other in (">", "&&")), len(words))
                yield words[number + 1 : end]
                break


@pytest.mark.parametrize("body", blocks("sh"))
def test_commands_of_the_documentation_are_understood(body):
    for words in commands(body):
        command = load_command(words[0])
        args = make_parser(command, profile_in(words)).parse_strictly(words[1:])
        for name in settings(getattr(args, "set", None) or []):
            section, _, option = name.partition(".")
            assert option in OPTIONS[section], name


def test_the_commands_that_are_looked_for_are_found():
    assert list(commands("torchrun -m crots run a \\\n --set x.y=1 # why\ncrots status b > c\npip install crots")) == [
        ["run", "a", "--set", "x.y=1"],
        ["status", "b"],
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_that_are_named_exist(path):
    if path.name == "CHANGELOG.md":
        pytest.skip("names options that are gone")
    sections = "|".join(sorted(OPTIONS))
    for section, option in re.findall(rf"`({sections}|\*)\.([a-z_]+)\b(?![(./])", prose(path)):
        assert option in (set().union(*OPTIONS.values()) if section == "*" else OPTIONS[section]), (section, option)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_names_of_the_code_that_are_mentioned_exist(path):
    text = prose(path)
    for file in re.findall(r"(?<![\w/-])(?:crots|crots_studio|tools|examples|tests|resources)/[\w/.-]*\w", text):
        # A guide's example is to be written by the reader.
        assert (ROOT / file).exists() or "/my_" in file, file
    for name, file in re.findall(r"`([A-Za-z_][\w.]*)`\s+(?:in|of)\s+`((?:crots|tests)[\w/]+\.py)`", text):
        assert all(part in read(ROOT / file) for part in name.split(".")), (name, file)


@pytest.mark.parametrize(
    ("page", "stated"),
    [
        ("CHANGELOG.md", f"Class weights (`balance`) are {balance.GREATEST_WEIGHT:g} at most"),
        ("CHANGELOG.md", f"the exit code is {main.UNREAD}"),
        ("SECURITY.md", f"| `--max-megapixels` | `CROTS_MAX_MEGAPIXELS` | {limits.Limits().max_megapixels:g} |"),
        ("SECURITY.md", f"| `--max-input-gb` | `CROTS_MAX_INPUT_GB` | {limits.Limits().max_input_gb:g} |"),
        ("SECURITY.md", f"{taxonomy.MOST_CLASSES:,} classes"),
        ("SECURITY.md", f"the description of a model {card.MOST_CARD // 10**6} MB"),
        ("docs/guard.md", f"evaluated on up to {label_free.IMAGES} target images"),
        ("docs/guard.md", f"never fewer than {label_free.LEAST_IMAGES}"),
        ("docs/guard.md", f"changed less than {100 * choice.ROUND_MARGIN:g} % of the labels"),
        ("docs/guide/correcting.md", {0.2: "the most doubtful fifth"}[suspicion.SHARE]),
        ("docs/guide/projects.md", f"at most {limits.Limits().max_megapixels:g} megapixels"),
        ("docs/guide/projects.md", f"`data.tile_overlap` ({DataOptions().tile_overlap:g})"),
        ("docs/guide/gpus.md", {4: "mixed within groups of four"}[batches.MIX_GROUP]),
    ],
)
def test_figures_are_those_of_the_code(page, stated):
    assert stated in " ".join(read(ROOT / page).split())


def test_the_extras_are_those_of_the_package():
    extras = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", read(DOCS / "install.md")))
    assert set(rows) == set(extras)
    (whole,) = (entry for entry in extras["dev"] if entry.startswith("crots-studio["))
    left_out = re.findall(r"`(\w+)`", rows["dev"])
    assert set(re.findall(r"\w+", whole.partition("[")[2])) == set(extras) - {"dev", *left_out}


@pytest.mark.parametrize("body", blocks("toml"))
def test_toml_is_valid(body):
    assert tomllib.loads(body)


@pytest.mark.parametrize("page", ["guide/projects.md", "glossary.md"])
def test_every_preset_is_named(page):
    assert all(f"`{name}`" in read(DOCS / page) for name in shipped("presets"))


def test_a_class_set_of_the_documentation_is_one(tmp_path):
    from crots.taxonomy import load_class_set

    (body,) = (body for _, language, body in FENCE.findall(read(DOCS / "guide" / "classes.md")) if "classes =" in body)
    (tmp_path / "yard.toml").write_text(body, encoding="utf-8")
    assert load_class_set(tmp_path / "yard.toml").names == ("ground", "plant", "person")


def test_a_class_map_of_the_documentation_is_whole(tmp_path):
    from crots.class_maps import load_class_map
    from crots.taxonomy import load_class_set

    bodies = [
        body for path in FILES for _, kind, body in FENCE.findall(read(path)) if kind == "toml" and "source =" in body
    ]
    assert bodies
    for body in bodies:
        (tmp_path / "map.toml").write_text(body, encoding="utf-8")
        assert load_class_map(tmp_path / "map.toml", None, load_class_set(tomllib.loads(body)["target"]))


@pytest.mark.parametrize("body", blocks("python"))
def test_python_is_valid(body):
    ast.parse(body)


@pytest.mark.slow
def test_the_deployment_example_runs_on_an_exported_model(tmp_path, monkeypatch):
    import numpy as np
    from PIL import Image

    from crots.config import Size
    from crots.label_files import read_labels
    from crots.nets.export import export_as
    from crots.nets.model import create_model
    from crots.taxonomy import ClassSet

    classes = ClassSet.from_dict({"name": "two", "names": ["ground", "sky"]})
    # A small one: writing ONNX takes ten seconds for a network of use.
    model = create_model("tests.stages.tiny_nets:still", classes, Size(512, 256), trust=True)
    photo = np.random.default_rng(0).integers(0, 256, (256, 512, 3), np.uint8)
    export_as(model, tmp_path / "adapted.onnx", "onnx", sample_images=[photo])
    Image.fromarray(photo).resize((640, 320)).save(tmp_path / "street.png")
    (body,) = (body for _, kind, body in FENCE.findall(read(DOCS / "guide" / "exporting.md")) if kind == "python")
    monkeypatch.chdir(tmp_path)
    exec(compile(body, "exporting.md", "exec"), {})
    labels = read_labels(tmp_path / "labels.png")
    assert labels.shape == (256, 512) and labels.max() <= 1

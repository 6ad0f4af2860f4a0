"""The reference pages of the documentation, made from the code: ``python -m crots.cli.reference`` writes them."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import sys
from pathlib import Path

from crots.cli.command import Parser, make_parser
from crots.cli.commands import GROUPS, load_command
from crots.cli.main import main
from crots.data.layouts import LAYOUTS
from crots.data.readings import ENCODING_TEXTS
from crots.data.releases import RELEASES
from crots.files import write_text
from crots.folders import MODEL_CLASSES, MODEL_TYPES, QUERY_TYPES
from crots.image_formats import FORMATS, LABEL_SUFFIXES
from crots.nets.names import COMPACT, DEEPLABV2, FACTORY_PATTERN, HF_PATTERN, SMP_PATTERN, TORCHVISION
from crots.taxonomy import load_class_set, shipped_class_sets

_COMMANDS = """# Commands

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

Every command explains itself with `--help`. With `--json` it prints one JSON object, with `--events -` the events of
the run as JSON lines. Exit codes: 0 done, 1 failed, 2 wrong use, 130 stopped, 141 its output is
no longer read (`crots run ... | head`), which is not an error. Ctrl-C finishes the current step and keeps a checkpoint;
pressed twice, it stops at once. A run whose output is no longer read stops as by Ctrl-C, without a message.

A command replaces only its own earlier results. `--out` and `--json FILE` refuse to replace other files unless you add
`--overwrite`, and a command never overwrites what it reads.

Defaults are those of the profile `recommended`; with `--profile published`, `--help` shows those of the published code.
"""
_OPTIONS = """# Options

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

The options of a project by section. Set them with `--set section.option=value`, in the project's `crots.toml`, as flags
of the single stages, or in the studio. The column *published* shows the value of the profile `published` where it
differs; *fault* names the [fault of the published code](../method.md#the-faults-of-the-published-code) that the option
is about. `crots options SECTION` prints the same table.
"""


_DATA = """# Images, labels, data sets

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

What can be given as images, labels and data sets, and how it is recognised. `crots inspect PATH` reports how a folder
was interpreted, what was left out and why, and every problem in it.
"""
_MATCHING = """AVIF too if Pillow was built with it; HEIC with the extra `heif`. Camera raw files, videos and other
pictures are left out and counted. The EXIF orientation of photographs is applied. 16-bit images that use only some of
their bits raise a warning, and so do transparent images and files of several frames, of which the first is read.
JPEG 2000 files are read as labels if no pixel data were dropped: a file that was truncated to a given size is refused,
and so is one for which this cannot be determined, as with some encoders.
`data.white` (`--white`) sets the value that becomes white. For images with more than three bands, `data.bands`
(`--bands 3,2,1`) chooses those that become red, green and blue, or the one that becomes grey; reading them needs the
extra `tiff`, and so do TIFFs of three bands of 32 bits, of 64-bit numbers, and of 16-bit colours stored one after
another. Grey pages of one size in a TIFF may be its bands: `--bands 3,2,1` takes them so, `--bands 1` the first alone.

## Names

A label or prediction belongs to the image with the same relative path. If there is none, images and files are matched
by the part of their names that they share: `x_image` and `x_label`, `21_training` and `21_manual1`, `x` and `x_mask`,
`x.jpg` and `x.jpg.png`. One change of names is learned for all: it has to fit at least half of the images or files,
whichever are fewer, and what it takes off a name must not tell images apart: `x_edit` is not given the label of `x`,
nor `x_day` that of `x_night`, nor `x_flip` or `x_rot90` that of the original. Zeros before a number do not count, nor
how accents are written; folders that both sides have must agree. If the names are ambiguous, or files are of several
kinds (`x_label` and `y_instance`), an error lists examples of both. Several images that were made of one frame of
Cityscapes (by added fog or rain) share its label; images of the right camera have none. Masks in the folder of the
images are not taken for images.
"""
_ENCODINGS = """A layout is recognised from its root, a part of it, or a folder that holds the root; `--layout`
chooses one.

## Labels

The encoding of label files is detected from the class set (`ids`, `ignored_ids`, colours), from palettes and from the
values in the files. If exactly one encoding fits, it is used and reported; if several fit and give different labels,
choose one with `--encoding` (for the validation labels of a project `--val-encoding`). The values -1, 255 and 65535 are
ignored unless the set names them.

Outlines and masks in the files of COCO (instances, stuff, panoptic), CVAT for images (`annotations.xml`), Label Studio
(JSON and JSON-MIN, with brushes, outlines, boxes and ellipses), labelme and Cityscapes (`*_polygons.json`, all that IDD
has) are rasterised by the names of their classes, later shapes over earlier ones; `[other_names]` in a class set's file
adds further names of its classes. As those programs do it, an outline of COCO, CVAT or Label Studio holds the pixels
whose centres lie inside, one of labelme or Cityscapes also those on its line; coordinates that are shares of the
sides, from 0 to 1, are refused. Pixels outside of them belong to the class *background* if there is one, otherwise
they are ignored; lines and points cover no pixels. The PNG masks of Label Studio are refused, since their names say
which task they are of and not which image. The masks of Roboflow are read by the names in the `_classes.csv` beside
them, which can also be given as the class set.
"""
_MODELS = """# Models

<!-- This page is generated: `python -m crots.cli.reference` writes it. -->

What can be given as a model, and how it is recognised. `crots inspect FILE` reports what a file holds. Nothing in a
model runs code unless you give `--trust`, and nothing is downloaded but ImageNet weights that you request by name;
[SECURITY.md](../../SECURITY.md) has the details.

## Files

The content of a file decides, not its suffix, except for ONNX.
"""

# What a model file or folder is, and how it is recognised and read.
_FILES = (
    (
        "what `crots export` wrote, and training checkpoints of CROTS",
        "the file holds a description (network, classes, normalisation, working size), so no other option is needed",
    ),
    (
        "plain weights (`.pth`, `.pt`, `.ckpt`, `.safetensors`)",
        "a state dict, or a training checkpoint with one in it; give `--net` (a network below) and "
        "`--classes`. Prefixes such as `module.`, `model.` and `_orig_mod.` are left out; half precision is "
        "read as single. Of several entries the moving average of the weights (EMA) is taken, which is "
        "reported; `--source-prefix` chooses another entry or prefix. What else training programs keep in "
        "them (arrays, dates, settings of Lightning, OmegaConf and yacs) is passed over; pickled objects of other "
        "packages, whole models among them, are refused",
    ),
    (
        "weights in parts (`model-00001-of-00002.safetensors`)",
        "any part; the others are read from beside it, and missing ones are named",
    ),
    (
        "a folder with `config.json` and safetensors",
        "a model of transformers (extra `transformers`) or segmentation-models-pytorch (extra `zoo`), see below; give "
        "the folder, not one of its files",
    ),
    (
        "ONNX (`.onnx`)",
        "a black box; a file of `crots export` describes itself, for others give channel order, "
        "mean, scale and what its output is (`--source-output`). Sizes that the file fixes, channels last, "
        "8-bit and half-precision inputs, and label outputs (argmax) are found out; of several outputs the "
        "one with the most plausible name and shape is taken, or asked for (`--source-output-name`). Its "
        "answers are checked: shape, sums of probabilities, finite values, labels within the class set",
    ),
    (
        "TorchScript and `torch.export` programs",
        "black boxes; they hold code, so only with `--trust`",
    ),
    (
        "a folder of predictions",
        "[black-box source](../guide/black-box.md) without a model",
    ),
    (
        "anything else (Keras, TensorFlow, TFLite, TensorRT, OpenVINO, GGUF, `.pt` of Ultralytics ...)",
        "refused, with what to export instead",
    ),
)
_FOLDERS = """Classes come from `id2label` (or `num_labels`), which has to name as many as the weights have, and the
normalisation from `preprocessor_config.json` (or `processor_config.json`). One score per pixel, as for a sigmoid, is
that of the second of two classes. The adapted model can be written back in this form
([Exporting](../guide/exporting.md)). Weights as a pickle (`pytorch_model.bin`) are read without running it.
Folders that require code of their own (`auto_map`) are refused, with what to do.
"""


def commands_page() -> str:
    """Returns the page of all commands: an overview, then the arguments of each."""
    rows = ["| command | what it does |", "|---|---|"]
    for title, commands in GROUPS.items():
        rows.append(f"| **{title}** | |")
        rows += [f"| [`crots {name}`](#crots-{name}) | {summary} |" for name, summary in commands.items()]
    parts = [
        _command(make_parser(load_command(name), "recommended"), name) for group in GROUPS.values() for name in group
    ]
    return "\n".join([_COMMANDS, *rows, "", *parts])


def _command(parser: Parser, name: str) -> str:
    command = load_command(name)
    lines = [f"## `crots {name}`", "", *_paragraphs(command.about), "```text", str(parser.usage), "```", ""]
    rows = [row for group in parser._action_groups for row in _rows(group)]
    lines += ["| argument | what it is |", "|---|---|", *rows, "", "```sh", command.example, "```", ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in text.splitlines() for line in (_cell(paragraph), "")]


def _rows(group: argparse._ArgumentGroup) -> list[str]:
    actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
    title = [f"| **{group.title}** | |"] if actions and group.title not in ("positional arguments", "options") else []
    return title + [f"| {_argument(action)} | {_cell((action.help or '').replace('%%', '%'))} |" for action in actions]


def _argument(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.nargs == "+":
        metavar = f"{metavar} ..."
    flags = " / ".join(f"`{flag}`" for flag in action.option_strings)
    value = f"`{metavar}`".replace("|", "\\|") if metavar and action.nargs != 0 else ""
    return " ".join(filter(None, (flags, value)))


def _cell(text: str) -> str:
    """Escapes what Markdown would read as a table cell's end, a tag or emphasis."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)


def options_page() -> str:
    """Returns the page of all options, as ``crots options --markdown`` prints them."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["options", "--markdown"])
    return f"{_OPTIONS}\n{printed.getvalue().strip()}\n"


def data_page() -> str:
    """Returns the page of what data are read: formats, layouts, encodings, class sets."""
    formats: dict[tuple[str, ...], list[str]] = {}
    for suffix, names in FORMATS.items():
        if names[0] in ("AVIF", "HEIF"):  # as they were built here
            continue
        formats.setdefault(names, []).append(suffix)
    rows = [_DATA, "## Formats", "", "| format | file names end in | labels too |", "|---|---|---|"]
    for kinds_of, suffixes in formats.items():
        stored = "if stored without loss" if kinds_of in (("WEBP",), ("JPEG2000",)) else "yes"
        label = stored if set(suffixes) <= LABEL_SUFFIXES else ""
        rows.append(f"| {kinds_of[0]} | {' '.join(f'`{suffix}`' for suffix in suffixes)} | {label} |")
    rows += ["", _MATCHING, "## Layouts", "", "| layout | what it is | class sets |", "|---|---|---|"]
    for name, layout in LAYOUTS.items():
        parts = (layout.__doc__ or "").strip().replace("``", "`").split("`")
        about = "`".join(part if number % 2 else _cell(part) for number, part in enumerate(parts))
        kinds = RELEASES[name].kinds if name in RELEASES else ()
        sets = dict.fromkeys(f"`{kind.classes}`" for kind in kinds if kind.classes)
        rows.append(f"| `{name}` | {about} | {' '.join(sets)} |")
    rows += ["", _ENCODINGS, "| encoding | label files hold |", "|---|---|"]
    rows += [f"| `{encoding}` | {_cell(description)} |" for encoding, description in ENCODING_TEXTS.items()]
    rows += ["", "## Class sets", "", "| class set | classes | label files |", "|---|---|---|"]
    for name in shipped_class_sets():
        classes = load_class_set(name)
        first = ", ".join(classes.names[:12]) + (" ..." if len(classes) > 12 else "")
        stored = "own ids" + (" or train ids" if classes.also_train_ids else "") if classes.raw_ids else "train ids"
        rows.append(f"| `{name}` | {len(classes)}: {_cell(first)} | {stored} |")
    return "\n".join(rows) + "\n"


def models_page() -> str:
    """Returns the page of what models are read: files, folders, networks."""
    rows = [_MODELS, "| what it is | how it is recognised and read |", "|---|---|"]
    rows += [f"| {what} | {how} |" for what, how in _FILES]
    rows += ["", "## Folders", "", "| library | `config.json` says | read as |", "|---|---|---|"]
    folders = (
        ("transformers", "model_type", MODEL_TYPES, "source or student"),
        ("transformers", "model_type", QUERY_TYPES, "source only: a query model"),
        ("segmentation-models-pytorch", "_model_class", MODEL_CLASSES, "source or student; it has no class names"),
    )
    for library, key, kinds, use in folders:
        rows.append(f"| {library} | `{key}`: {' '.join(f'`{kind}`' for kind in kinds)} | {use} |")
    rows += ["", _FOLDERS, "## Networks", "", "| name | network |", "|---|---|"]
    several = " ".join(f"`{name}`" for name in (*DEEPLABV2, *TORCHVISION, COMPACT))
    rows.append(f"| {several} | as named; `aspp4` has four active branches, `compact` 0.5 million parameters |")
    about = {
        SMP_PATTERN: "segmentation-models-pytorch (extra `zoo`): "
        + " ".join(f"`{name.lower()}`" for name in MODEL_CLASSES),
        HF_PATTERN: "the network of a model folder, as above",
        FACTORY_PATTERN: "a Python function of yours that makes a network; only with `--trust`",
    }
    rows += [f"| `{name}` | {description} |" for name, description in about.items()]
    return "\n".join(rows) + "\n"


PAGES = {
    "commands.md": commands_page, "options.md": options_page, "data.md": data_page, "models.md": models_page,
}  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, page in PAGES.items():
        write_text(folder / file_name, page())

"""Adapts on real pairs of source and target with default options and writes the table of results.

Give the folder of the data and one for the projects. Each pair becomes an ordinary project (`crots init`, `crots run`)
for each seed; its labels are used for scoring alone. Pairs whose data are absent are skipped; what is finished is not
run again. The table goes to ``pairs.md`` and ``pairs.json`` in the folder of the projects, after every run.

    python tools/measure_pairs.py DATA WORK
    python tools/measure_pairs.py DATA WORK --pairs P2 P5 --seeds 0 --set baseline.keep_share=1 --name all-labels
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image

from crots.artefacts import LABEL_IDS, STUDENT, is_round

LITE0 = "smp:deeplabv3plus/tu-tf_efficientnet_lite0"
UNET = "smp:unet/tu-tf_efficientnet_lite0"
RETINA = """name = "retina"
classes = [
  { name = "background", colour = [0, 0, 0], ids = [0] },
  { name = "vessel", colour = [255, 255, 255], ids = [1] },
]
"""

ROAD5 = """name = "road5"
classes = [
  { name = "ground", ids = [0] },
  { name = "living", ids = [1] },
  { name = "vehicle", ids = [2] },
  { name = "structure", ids = [3] },
  { name = "sky", ids = [4] },
]
"""
ROAD7_TO_5 = """drivable = "ground"
non-drivable = "ground"
living = "living"
vehicle = "vehicle"
roadside = "structure"
construction = "structure"
sky = "sky"
"""


@dataclass(frozen=True)
class Pair:
    """A source and a target.

    Attributes:
        about: in a few words.
        needs: files and folders below the data that it is made from.
        make: given data, folder of the pair's own inputs and project, returns the arguments of ``crots init``; None
            where the project makes itself.
        halves: the second half of the validation images is reported, the first served for choosing constants.
    """

    about: str
    needs: tuple[str, ...]
    make: Callable[[Path, Path], list[str]] | None
    halves: bool = False


def crots(*words: str | Path) -> None:
    """Runs a command of `crots` and shows what it says.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", "crots", *map(str, words)], check=True)


def camvid_black_box(data: Path, _made: Path) -> list[str]:
    """P1: predictions of a Cityscapes network, joined to the eleven classes of CamVid."""
    camvid = data / "camvid"
    return [
        *_camvid_images(data),
        *("--val-labels", str(camvid / "labels/val"), "--classes", "camvid", "--source-classes", "cityscapes"),
        *("--class-map", "cityscapes-to-camvid", "--predictions", str(camvid / "black_box/label_ids")),
        *("--confidence", str(camvid / "black_box/confidence")),
        *_fresh_student(data),
    ]


def camvid_all_images(data: Path, made: Path) -> list[str]:
    """P1 with the images of `val`, without their labels, among the target's: a user who wants these images labelled."""
    task = camvid_black_box(data, made)
    if not made.exists():
        made.mkdir(parents=True)
        for image in sorted((data / "camvid/images").glob("*/*.jpg")):
            shutil.copyfile(image, made / image.name)
    task[task.index("--target") + 1] = str(made)
    return task


def _camvid_images(data: Path) -> list[str]:
    return ["--target", str(data / "camvid/images/train"), "--val-images", str(data / "camvid/images/val")]


def _fresh_student(data: Path) -> list[str]:
    return ["--student", LITE0, "--student-weights", str(data / "weights/tf_efficientnet_lite0_imagenet.pth")]


def _india_task(data: Path) -> list[str]:
    return [
        *_camvid_images(data),
        *("--val-labels", str(data / "india/camvid_val_labels"), "--classes", str(data / "india/road7.toml")),
        *("--size", "320x224"),
    ]


def india_white_box(data: Path, _made: Path) -> list[str]:
    """P2: a network trained on Indian roads."""
    return [*_india_task(data), "--source", str(data / "india/source.safetensors"), "--net", LITE0]


def india_joined(data: Path, made: Path) -> list[str]:
    """P2 with the source's seven classes joined to five by a class map."""
    labels = made / "labels"
    if not labels.exists():
        labels.mkdir(parents=True)
        (made / "road5.toml").write_text(ROAD5, encoding="utf-8")
        (made / "map.toml").write_text(ROAD7_TO_5, encoding="utf-8")
        joined = np.full(256, 255, np.uint8)
        joined[:7] = (0, 0, 1, 2, 3, 3, 4)
        for path in sorted((data / "india/camvid_val_labels").iterdir()):
            with Image.open(path) as image:
                Image.fromarray(joined[np.asarray(image)]).save(labels / path.name)
    task = india_white_box(data, made)
    task[task.index("--val-labels") + 1] = str(labels)
    task[task.index("--classes") + 1] = str(made / "road5.toml")
    return [*task, "--source-classes", str(data / "india/road7.toml"), "--class-map", str(made / "map.toml")]


def india_black_box(data: Path, made: Path) -> list[str]:
    """P2b: what the network of P2 predicts, and how sure it is, with its own statistics."""
    return _as_black_box(data, made, _india_task(data))


def _as_black_box(data: Path, made: Path, task: list[str]) -> list[str]:
    if not (made / "run.json").exists():
        crots(
            *("pseudo-label", "--images", task[task.index("--target") + 1], "--classes", data / "india/road7.toml"),
            *("--source", data / "india/source.safetensors", "--net", LITE0, "--size", "320x224"),
            *("--batch-norm", "source", "--no-flip", "--out", made, "--overwrite"),
        )
    return [*task, "--predictions", str(made), *_fresh_student(data)]


def india_labels_only(data: Path, made: Path) -> list[str]:
    """P2b where nothing tells how sure the source is."""
    return _labels_only(india_black_box(data, made.with_name("inputs-P2b")), made)


def _labels_only(task: list[str], made: Path) -> list[str]:
    """The task of a black box with its label maps alone."""
    place = task.index("--predictions") + 1
    if not made.exists():
        shutil.copytree(Path(task[place]) / LABEL_IDS, made)
    task[place] = str(made)
    return task


def few_images(data: Path, made: Path) -> list[str]:
    """The network of P2 on every 37th photograph of its target: ten of them."""
    return _with_few(data, made, india_white_box(data, made))


def few_images_black_box(data: Path, made: Path) -> list[str]:
    """What the network of P2 predicts of these ten photographs, for a fresh student."""
    task = _with_few(data, made.with_name("inputs-few"), _india_task(data))
    return _as_black_box(data, made, task)


def _with_few(data: Path, few: Path, task: list[str]) -> list[str]:
    if not few.exists():
        few.mkdir(parents=True)
        for image in sorted((data / "camvid/images/train").iterdir())[::37]:
            shutil.copyfile(image, few / image.name)
    task[task.index("--target") + 1] = str(few)
    return task


def dark(data: Path, made: Path) -> list[str]:
    """The network of P2 on darkened, warmer and noisy photographs: another camera."""
    white_box = india_white_box(data, made)
    for option, part in (("--target", "train"), ("--val-images", "val")):
        if not (made / part).exists():
            _darken(data / "camvid/images" / part, made / part)
        white_box[white_box.index(option) + 1] = str(made / part)
    return white_box


def _darken(images: Path, out: Path) -> None:
    noise = np.random.default_rng(0)
    out.mkdir(parents=True)
    for path in sorted(images.iterdir()):
        with Image.open(path) as image:
            light = np.asarray(image.convert("RGB")) / 255
        light = light**2.2 * (0.8, 0.68, 0.56) + noise.normal(0, 0.03, light.shape)
        Image.fromarray((light.clip(0, 1) * 255).astype(np.uint8)).save(out / f"{path.stem}.jpg", quality=90)


def no_gap(data: Path, made: Path) -> list[str]:
    """A network trained on the labels of half of `val`, for `train`: the same streets, so there is no gap to close."""
    (images, labels), (val_images, val_labels) = _halves(data, made.parent)
    model = made / "source" / STUDENT
    if not model.exists():
        crots(
            *("train", "--images", images, "--labels", labels, "--classes", "camvid"),
            *("--net", LITE0, "--weights", data / "weights/tf_efficientnet_lite0_imagenet.pth"),
            *("--size", "320x240", "--crop", "192x160", "--scale", "1.5", "--jitter", "0.5"),
            *("--steps", "600", "--batch", "8", "--learning-rate", "1e-3", "--out", made / "source", "--overwrite"),
        )
    scored = ["--val-images", str(val_images), "--val-labels", str(val_labels)]
    task = ["--target", str(data / "camvid/images/train"), *scored, "--classes", "camvid", "--size", "320x240"]
    return [*task, "--source", str(model), "--net", LITE0]


def retina(data: Path, made: Path) -> list[str]:
    """P4: a U-Net trained here on one eye clinic, for another."""
    return [*_retina_task(data, made, "stare"), *_retina_source(data, made, "drive", "576x576", "256x256")]


def retina_back(data: Path, made: Path) -> list[str]:
    """P4 the other way round and half as large."""
    return [
        *_retina_task(data, made, "drive"),
        *("--size", "288x288"),
        *_retina_source(data, made, "stare", "288x288", "192x192"),
    ]


def retina_black_box(data: Path, made: Path) -> list[str]:
    """What the network of `retina_back` predicts, for a fresh student."""
    made = made.with_name("inputs-back")
    task = retina_back(data, made)
    size, source, net = (task[task.index(option) + 1] for option in ("--size", "--source", "--net"))
    predictions = made / "predictions"
    if not (predictions / "run.json").exists():
        crots(
            *("pseudo-label", "--images", data / "retina/drive/images", "--classes", made / "retina.toml"),
            *("--source", source, "--net", net, "--size", size),
            *("--batch-norm", "source", "--no-flip", "--out", predictions, "--overwrite"),
        )
    student = ["--student", UNET, "--student-weights", str(data / "weights/tf_efficientnet_lite0_imagenet.pth")]
    return [*_retina_task(data, made, "drive"), "--size", size, "--predictions", str(predictions), *student]


def retina_labels_only(data: Path, made: Path) -> list[str]:
    """The label maps of `retina_black_box` alone."""
    return _labels_only(retina_black_box(data, made.with_name("inputs-back")), made)


def _retina_task(data: Path, made: Path, target: str) -> list[str]:
    classes, images = made / "retina.toml", str(data / "retina" / target / "images")
    if not classes.exists():
        made.mkdir(parents=True, exist_ok=True)
        classes.write_text(RETINA, encoding="utf-8")
    labels = str(data / "retina" / target / "labels")
    return ["--target", images, "--val-images", images, "--val-labels", labels, "--classes", str(classes)]


def _retina_source(data: Path, made: Path, clinic: str, size: str, crop: str) -> list[str]:
    model = made / "source" / STUDENT
    if not model.exists():
        images, labels = data / "retina" / clinic / "images", data / "retina" / clinic / "labels"
        crots(
            *("train", "--images", images, "--labels", labels, "--classes", made / "retina.toml"),
            *("--net", UNET, "--weights", data / "weights/tf_efficientnet_lite0_imagenet.pth"),
            *("--size", size, "--crop", crop, "--scale", "1.3", "--jitter", "0.5"),
            *("--steps", "300", "--batch", "6", "--learning-rate", "1e-3", "--out", made / "source", "--overwrite"),
        )
    return ["--source", str(model), "--net", UNET]


_RETINA_NEEDS = ("retina/drive/labels", "retina/stare/labels", "weights/tf_efficientnet_lite0_imagenet.pth")
# No constant was chosen on P1-all and those after P5.
PAIRS = {
    "P1": Pair(
        "Cityscapes network to CamVid, black box",
        ("camvid/black_box/label_ids", "camvid/labels/val", "weights/tf_efficientnet_lite0_imagenet.pth"),
        camvid_black_box,
        halves=True,
    ),
    "P1-all": Pair(
        "Cityscapes network to all of CamVid, black box",
        ("camvid/black_box/label_ids", "camvid/labels/val", "weights/tf_efficientnet_lite0_imagenet.pth"),
        camvid_all_images,
        halves=True,
    ),
    "P2": Pair("India to CamVid, white box", ("camvid/images/train", "india/source.safetensors"), india_white_box),
    "joined": Pair(
        "P2 with the source's classes joined to five",
        ("camvid/images/train", "india/source.safetensors"),
        india_joined,
    ),
    "P2b": Pair(
        "India to CamVid, black box",
        ("camvid/images/train", "india/source.safetensors", "weights/tf_efficientnet_lite0_imagenet.pth"),
        india_black_box,
    ),
    "P4": Pair("DRIVE to STARE, white box", _RETINA_NEEDS, retina),
    "P5": Pair("the demonstration", (), None),
    "few": Pair(
        "India to ten photographs of CamVid, white box",
        ("camvid/images/train", "india/source.safetensors"),
        few_images,
    ),
    "few-black-box": Pair(
        "India to ten photographs of CamVid, black box",
        ("camvid/images/train", "india/source.safetensors", "weights/tf_efficientnet_lite0_imagenet.pth"),
        few_images_black_box,
    ),
    "dark": Pair("India to a dark, noisy CamVid, white box", ("camvid/images/train", "india/source.safetensors"), dark),
    "back": Pair("STARE to DRIVE, white box", _RETINA_NEEDS, retina_back),
    "back-black-box": Pair("STARE to DRIVE, black box", _RETINA_NEEDS, retina_black_box),
    "labels-only": Pair(
        "India to CamVid, black box without confidence",
        ("camvid/images/train", "india/source.safetensors", "weights/tf_efficientnet_lite0_imagenet.pth"),
        india_labels_only,
    ),
    "no-gap": Pair(
        "a network trained on half of CamVid's labelled photographs, to CamVid, white box",
        ("camvid/images/train", "camvid/labels/val", "weights/tf_efficientnet_lite0_imagenet.pth"),
        no_gap,
    ),
    "back-labels-only": Pair("STARE to DRIVE, black box without confidence", _RETINA_NEEDS, retina_labels_only),
}


def adapt(name: str, data: Path, work: Path, seed: int, label: str, extra: Sequence[str]) -> dict[str, Any]:
    """Runs one pair with one seed, unless it is done; returns its row."""
    project = work / f"{name}-{label}-{seed}"
    row = project / "measured.json"
    if row.exists():
        return dict(json.loads(row.read_text(encoding="utf-8")))
    start = time.monotonic()
    if not (project / "crots.toml").exists():
        _make(PAIRS[name], name, data, work, project, [*extra, "--set", f"runtime.seed={seed}"])
    crots("run", project)
    found = {
        "pair": name,
        "run": label,
        "seed": seed,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "miou": scores(project),
    }
    if PAIRS[name].halves:
        found["halves"] = [_scores_of(project, data, *half) for half in _halves(data, work)]
    row.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def _make(pair: Pair, name: str, data: Path, work: Path, project: Path, settings: Sequence[str]) -> None:
    if pair.make is not None:
        crots("init", project, *pair.make(data, work / f"inputs-{name}"), *settings)
        return
    # The demonstration renders its images and trains its source once; every run adapts from the same files.
    base = work / f"inputs-{name}"
    if not (base / "source" / STUDENT).exists():
        crots("demo", base)
    inputs: list[str | Path] = ["--target", base / "data/target/images"]
    inputs += ["--val-images", base / "data/validation/images"]
    inputs += ["--val-labels", base / "data/validation/labels", "--classes", "demo", "--size", "256x128"]
    crots("init", project, *inputs, "--source", base / "source" / STUDENT, "--net", "compact", *settings)


def scores(project: Path) -> dict[str, float]:
    """Returns the mIoU in per cent of the source, the baseline and every round of a finished project, in this order."""
    found = {path.stem: path for path in (project / "evaluation").glob("*.json")}
    order = ["source", "baseline", *sorted(key for key in found if is_round(key))]
    return {key: _miou(found[key]) for key in order if key in found}


def _miou(path: Path) -> float:
    return round(100 * float(json.loads(path.read_text(encoding="utf-8"))["miou"]), 2)


def _halves(data: Path, work: Path) -> list[tuple[Path, Path]]:
    """Copies CamVid's validation images and labels into two halves by name."""
    images = sorted((data / "camvid/images/val").iterdir())
    middle = (len(images) + 1) // 2
    made = []
    for number, part in enumerate((images[:middle], images[middle:]), 1):
        places = work / f"half-{number}/images", work / f"half-{number}/labels"
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        for image in part:
            shutil.copyfile(image, places[0] / image.name)
            shutil.copyfile(data / "camvid/labels/val" / f"{image.stem}.png", places[1] / f"{image.stem}.png")
        made.append(places)
    return made


def _scores_of(project: Path, data: Path, images: Path, labels: Path) -> dict[str, float]:
    """Returns the mIoU in per cent of CamVid's black box and of every trained stage on some labelled images."""
    found = {}
    for key in scores(project):
        out = project / f"{images.parent.name}-{key}.json"
        model: list[str | Path] = ["--checkpoint", project / key / STUDENT]
        if key == "source":
            black_box = data / "camvid/black_box"
            model = ["--predictions", black_box / "label_ids/val", "--source-classes", "cityscapes"]
            model += ["--class-map", "cityscapes-to-camvid"]
        crots("evaluate", *model, "--images", images, "--labels", labels, "--classes", "camvid", "--json", out)
        found[key] = _miou(out)
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Writes a Markdown table: one line per pair and kind of run, means and deviations over seeds."""
    lines = [
        "| pair | run | source | baseline | result | change | seeds | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in PAIRS:
        for label in dict.fromkeys(row["run"] for row in rows if row["pair"] == name):
            own = [row for row in rows if row["pair"] == name and row["run"] == label]
            results = [list(row["miou"].values())[-1] for row in own]
            # A black box whose predictions are of the target's images alone is not scored.
            scored = all("source" in row["miou"] for row in own)
            source = mean(row["miou"]["source"] for row in own) if scored else 0.0
            cells = [
                *(name, label, f"{source:.1f}" if scored else "-"),
                *(_spread([row["miou"]["baseline"] for row in own]), _spread(results)),
                f"{mean(results) - source:+.1f}" if scored else "-",
                *(", ".join(str(row["seed"]) for row in own), f"{mean(row['minutes'] for row in own):.0f}"),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def main() -> int:
    """Runs every pair asked for, one after the other, and writes the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with camvid/, india/, retina/ and weights/")
    parser.add_argument("work", type=Path, help="folder for the projects")
    parser.add_argument("--pairs", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--name", default="default", help="of this kind of run, in the table and in folders")
    parser.add_argument("--profile", default=None)
    parser.add_argument("--preset", default=None, help="options to start from, as for crots init")
    parser.add_argument("--set", action="append", default=[], help="option of a stage, as for crots init")
    args = parser.parse_args()
    extra = [word for value in args.set for word in ("--set", value)]
    extra += ["--profile", args.profile] if args.profile else []
    extra += ["--preset", args.preset] if args.preset else []
    args.work.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        for name in args.pairs:
            missing = [part for part in PAIRS[name].needs if not (args.data / part).exists()]
            if missing:
                print(f"{name} is skipped: {args.data / missing[0]} is absent")
                continue
            adapt(name, args.data, args.work, seed, args.name, extra)
            rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(args.work.glob("*/measured.json"))]
            (args.work / "pairs.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
            (args.work / "pairs.md").write_text(table(rows), encoding="utf-8")
            print(table(rows), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Names of images and their labels as people have them, some of them missing, and what they show."""

import unicodedata
from dataclasses import dataclass

WORDS = ["ulm", "bonn", "north", "south", "site", "field", "plot", "road", "café", "über", "a", "b", "ab"]
GROUPS = ["day", "night", "A", "B", "train", "seq1", "seq2", "10", "2"]
# What names of images and of labels begin and end with.
IMAGES = [("", ""), ("", ""), ("", ""), ("", "_image"), ("", "_rgb"), ("img_", ""), ("image", ""), ("", "_leftImg8bit"),
          ("", "_sat"), ("frame_", ""), ("", "_training"), ("rgb-", ""), ("", ".x"), ("IMG ", ""), ("", "_0000"),
          ("", " image"), ("T1_", "")]  # fmt: skip
LABELS = [("", ""), ("", ""), ("", "_label"), ("", "_mask"), ("mask_", ""), ("label", ""), ("", "_gtFine_labelIds"),
          ("", "_L"), ("", "_gt"), ("gt_", ""), ("", "_manual1"), ("", ".jpg"), ("", ".ah"), ("", "_color"), ("m_", ""),
          ("Mask ", ""), ("", "-seg"), ("", "_1stHO")]  # fmt: skip
# Views of one thing. Of the first ones everybody knows that they are not each other, of the last where both occur.
VIEWS = [("left", "right"), ("day", "night"), ("before", "after"), ("pre", "post"), ("t0", "t1"), ("summer", "winter"),
         ("wet", "dry"), ("near", "far")]  # fmt: skip
KNOWN = 6
FOLDERS = {
    "flat": ("", ""), "same": ("{0}/", "{0}/"), "above": ("rgb/{0}/", "gt/{0}/"), "below": ("{0}/rgb/", "{0}/gt/"),
    "deeper": ("", "labels/"), "images only": ("{0}/", ""),
}  # fmt: skip


@dataclass
class Names:
    """Key -> what it shows, of both sides, of what kind labels are, and whether a person sees what belongs together."""

    images: dict
    labels: dict
    kinds: dict
    clear: bool


def _scenes(random):
    """What the images show, as texts and numbers."""
    count, most = random.randint(2, 12), random.choice([12, 40, 300, 3000])
    numbers = random.sample(range(most), count)
    pick, between = random.choice, random.randint
    word, sign, copied = pick(WORDS), pick(["", "-", "_"]), pick([" copy", " (1)", "_1", "_edit"])
    views = pick(VIEWS)
    kinds = {
        "numbers": lambda: [(number,) for number in numbers],
        "counted": lambda: [(number,) for number in range(between(0, 1), count)],
        "word": lambda: [(word, "_", number) for number in numbers],
        "dates": lambda: [
            (f"20{between(19, 24)}{sign}{between(1, 12):02}{sign}{between(1, 28):02}", "_", number)
            for number in numbers
        ],
        "tiles": lambda: [(between(0, 4), "_", between(0, 4)) for _ in numbers],
        "named tiles": lambda: [(pick(WORDS[:2]), "_", between(0, 11), "_", between(0, 11)) for _ in numbers],
        "signed": lambda: [(pick(["", "", "-"]), number) for number in numbers],
        "versions": lambda: [(pick(WORDS), "_v", between(1, 3), ".", between(0, 2)) for _ in numbers],
        "copies": lambda: [
            ("IMG_", number, more) for number in numbers for more in ("", copied)
        ],
        "hex": lambda: [("".join(pick("0123456789abcdef") for _ in range(8)),) for _ in numbers],
        "words": lambda: [(word,) for word in random.sample(WORDS, min(count, len(WORDS)))],
        "views": lambda: [(number, "_", view) for number in numbers for view in views],
        "views first": lambda: [(view, "_", number) for number in numbers for view in views],
        "clips": lambda: [("seq", between(1, 3), "_", "frame", number) for number in numbers],
        "times": lambda: [(f"{1500000000 + between(0, 10**7)}.{between(0, 99):02}",) for _ in numbers],
        "containing": lambda: [
            scene for word in random.sample(WORDS, 3)
            for scene in ((word,), (word, numbers[0]), (word, "_", pick(WORDS)), (word, "_", pick(WORDS)))
        ],
        "maps": lambda: [(pick("NS"), between(10, 12), pick("EW"), between(5, 9)) for _ in numbers],
    }  # fmt: skip
    return list(dict.fromkeys(kinds[pick(sorted(kinds))]()))


def _style(random):
    return {
        "width": random.choice([0, 0, 0, 2, 3, 4, 6]), "sign": random.choice(["_", "_", "_", "-", " "]),
        "case": random.choice([str, str, str, str.lower, str.upper]), "form": random.choice(["NFC", "NFC", "NFD"]),
    }  # fmt: skip


def _written(parts, ends, style):
    texts = (f"{part:0{style['width']}d}" if isinstance(part, int) else part for part in parts)
    core = style["case"]("".join(style["sign"] if text == "_" else text for text in texts))
    glue = "_" if ends[0][-1:].isalpha() and core[0].isalpha() else ""
    return unicodedata.normalize(style["form"], ends[0] + glue + core + ends[1])


def draw_names(random):
    """Draws the names of a data set from a `random.Random`."""
    scenes, folders = _scenes(random), FOLDERS[random.choice(sorted(FOLDERS))]
    images, labels = random.choice(IMAGES), random.choice(LABELS)
    style = _style(random)
    other = style if random.random() < 0.6 else _style(random)
    groups = random.sample(GROUPS, 2)
    again = folders[1].count("{0}") and random.random() < 0.5
    placed = [(group, scene) for scene in scenes for group in (groups if again else [random.choice(groups)])]
    kinds = random.sample(["_depth", "_instance", "_overlay"], 2) if random.random() < 0.15 else [""]
    # Of two kinds each image may have both, or a few may have only the second, or both.
    shares = random.choice([(1, 1), (0.95, 0.1), (0.6, 0.4)])
    ours, theirs, kind_of = {}, {}, {}
    for group, scene in placed:
        ours.setdefault(folders[0].format(group) + _written(scene, images, style), (group, scene))
        for kind, share in zip(kinds, shares, strict=False):
            name = folders[1].format(group) + _written(scene, (labels[0], labels[1] + kind), other)
            if kinds == [""] or random.random() < share:
                theirs.setdefault(name, (group, scene))
                kind_of.setdefault(name, kind)
    whole = len(ours) == len(theirs) == len(placed) > 2 and kinds == [""]
    missing = random.choice(["none", "none", "labels", "images", "both", "most labels", "all", "a view"])
    if missing in ("labels", "both", "most labels"):
        theirs = {key: shown for key, shown in theirs.items() if random.random() > (0.8 if "most" in missing else 0.3)}
    if missing in ("images", "both"):
        ours = {key: shown for key, shown in ours.items() if random.random() > 0.3}
    if missing == "all":
        half = {shown for shown in placed if random.random() < 0.5}
        ours = {key: shown for key, shown in ours.items() if shown in half}
        theirs = {key: shown for key, shown in theirs.items() if shown not in half}
    if missing == "a view":
        ours = {key: shown for key, shown in ours.items() if not _is_view(shown, 0)}
        theirs = {key: shown for key, shown in theirs.items() if not _is_view(shown, 1) or random.random() < 0.2}
    keys, names = list(ours), list(theirs)
    random.shuffle(keys)
    random.shuffle(names)
    return Names(
        {key: ours[key] for key in keys}, {name: theirs[name] for name in names}, kind_of, whole and missing == "none"
    )


def _is_view(shown, which):
    return any(view[which] in shown[1] for view in VIEWS)


def is_told_apart(names):
    """Whether names say anything: of two sets that show other things under the same names they do not."""
    same = all(names.labels[key] == shown for key, shown in names.images.items() if key in names.labels)
    # Of images that are no copies, and labels that are all of copies, nobody could know.
    copies = [{scene[-1] for _, scene in side.values() if scene[0] == "IMG_"} for side in (names.images, names.labels)]
    same = same and (not copies[0] or bool(copies[0] & copies[1]))
    views = [{views[which] for _, scene in side.values() for views in VIEWS[KNOWN:] for which in (0, 1)
              if views[which] in scene} for side in (names.images, names.labels)]  # fmt: skip
    same = same and (not views[0] or bool(views[0] & views[1]))
    places = [{group for group, _ in side.values()} for side in (names.images, names.labels)]
    return same and bool(names.images and names.labels and places[0] & places[1])

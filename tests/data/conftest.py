import pytest

from tests.data.trees import touch


@pytest.fixture
def cityscapes(tmp_path):
    names = []
    for split, city in (("train", "aachen"), ("train", "ulm"), ("val", "bonn")):
        base = f"{split}/{city}/{city}_000000_000019"
        names += [f"leftImg8bit/{base}_leftImg8bit.png"]
        names += [f"gtFine/{base}_gtFine_{kind}.png" for kind in ("color", "instanceIds", "labelIds")]
        names += [f"gtFine/{base}_gtFine_polygons.json"]
    return touch(tmp_path, *names)

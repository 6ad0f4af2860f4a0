"""Folders of empty files."""


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def label_names(dataset):
    return [sample.label and sample.label.name for sample in dataset.samples]

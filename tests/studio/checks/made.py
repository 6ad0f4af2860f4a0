"""Inputs that several tests of checks make."""

import numpy as np

from crots.label_files import write_labels

NET = "torchvision:lraspp_mobilenet_v3_large"


def labels(folder, values, count=4):
    for number in range(count):
        write_labels(folder / f"{number}.png", np.resize(np.array(values, np.uint8), (48, 64)))
    return folder

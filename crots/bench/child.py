"""Forward passes while another thread decodes, in a process whose environment sets how OpenMP's threads wait."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from statistics import median

import torch

from crots.images import read_image
from crots.nets.registry import build_net

_PASSES = 4


def main(net: str, classes: str, width: str, height: str, image: str, trust: str = "") -> None:
    """Prints the median seconds of a pass as JSON."""
    model = build_net(net, int(classes), trust=trust == "--trust").eval().to(memory_format=torch.channels_last)
    x = torch.randn(1, 3, int(height), int(width)).to(memory_format=torch.channels_last)
    over = threading.Event()

    def decode() -> None:
        while not over.is_set():
            read_image(Path(image))

    thread = threading.Thread(target=decode, daemon=True)
    times: list[float] = []
    with torch.inference_mode():
        model(x)
        thread.start()
        for _ in range(_PASSES):
            began = time.perf_counter()
            model(x)
            times.append(time.perf_counter() - began)
    over.set()
    thread.join()
    print(json.dumps({"seconds": median(times)}))


if __name__ == "__main__":
    main(*sys.argv[1:])

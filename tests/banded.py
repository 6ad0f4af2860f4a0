"""TIFFs of many bands."""

import struct

import numpy as np


def write_tiff(path, bands, *, extra=0, photometric=1, orientation=1, apart=False):
    """Writes (H, W, N) as programs for maps do, which neither Pillow nor OpenCV can."""
    height, width, count = bands.shape
    data = (np.moveaxis(bands, 2, 0) if apart else bands).astype(bands.dtype.newbyteorder("<")).tobytes()
    usual = 3 if photometric == 2 else 1
    kind = {"u": 1, "i": 2, "f": 3}[bands.dtype.kind]
    tags = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bands.dtype.itemsize * 8] * count), (259, 3, [1]),
        (262, 3, [photometric]), (273, 4, None), (274, 3, [orientation]), (277, 3, [count]), (278, 4, [height]),
        (279, 4, None), (284, 3, [2 if apart else 1]), (338, 3, [extra] * (count - usual)), (339, 3, [kind] * count),
    ]  # fmt: skip
    planes = count if apart else 1
    start = 8 + 2 + 12 * len(tags) + 4
    each = len(data) // planes
    tail, entries = b"", b""
    place = start + sum(len(values or [0] * planes) * 4 for _, _, values in tags)
    for number, code, values in tags:
        if number == 273:
            values = [place + index * each for index in range(planes)]
        values = [each] * planes if values is None else values
        packed = struct.pack(f"<{len(values)}{'H' if code == 3 else 'I'}", *values)
        inline = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", start + len(tail))
        tail += b"" if len(packed) <= 4 else packed.ljust(len(packed) + len(packed) % 2, b"\0")
        entries += struct.pack("<HHI", number, code, len(values)) + inline
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0" * 4 + tail
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head.ljust(place, b"\0") + data)
    return path

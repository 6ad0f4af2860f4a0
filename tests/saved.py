"""Files that tests write: texts, and images in the formats and modes of other programs."""

import struct
import zlib

from PIL import Image


def write(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def png_file(header, pixels):
    """Returns the bytes of a PNG of any header and compressed pixels, sound or not."""
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    sealed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(sealed)


def saved(path, array_or_image, **options):
    image = array_or_image if isinstance(array_or_image, Image.Image) else Image.fromarray(array_or_image)
    image.save(path, **options)
    return path

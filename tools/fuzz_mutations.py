"""Ways of damaging a file: byte by byte, or inside its own format, so that what reads it gets past the first check."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import tomli_w

Mutation = Callable[[bytes, random.Random], bytes]

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_DEEP = 100_000


def in_bytes(content: bytes, rng: random.Random) -> bytes:
    """Changes bytes: bits, numbers, parts that are missing, doubled or strange, and the end."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(len(data) + 1)
        # Half of the time near the start, where headers are.
        place = rng.randrange(min(len(data), 256) + 1) if rng.random() < 0.5 else place
        _change(data, place, rng)
    return bytes(data)


def _change(data: bytearray, place: int, rng: random.Random) -> None:
    length = rng.choice((1, 2, 4, 8, 64, 1024))
    way = rng.randrange(7)
    if way == 0 and place < len(data):
        data[place] ^= 1 << rng.randrange(8)
    elif way == 1:
        data[place : place + 1] = rng.randbytes(1)
    elif way == 2:
        size = rng.choice((2, 4, 8))
        number = rng.choice(_NUMBERS) & (2 ** (8 * size) - 1)
        data[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
    elif way == 3:
        del data[place : place + length]
    elif way == 4:
        data[place:place] = data[place : place + length] * rng.choice((1, 1, 2, 100))
    elif way == 5:
        data[place:place] = rng.randbytes(length)
    elif rng.random() < 0.3:
        del data[place:]


def in_value(value: Any, rng: random.Random) -> Any:
    """Replaces, removes or adds one value somewhere inside plain data."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        changed = dict(value)
        way = rng.random()
        if way < 0.15:
            del changed[key]
        elif way < 0.25:
            changed[rng.choice(("", "x" * 300, "..", "\u202e\x1b[31m", "name"))] = changed.pop(key)
        else:
            changed[key] = in_value(changed[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.9:
        changed_list = list(value)
        place = rng.randrange(len(value))
        if rng.random() < 0.2:
            changed_list = changed_list * rng.choice((0, 2, 500))
        else:
            changed_list[place] = in_value(value[place], rng)
        return changed_list
    return strange(rng)


def strange(rng: random.Random) -> Any:
    """Returns a value that nobody expects."""
    return rng.choice((
        None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**30), 0.5, -0.0, 1e308, float("nan"), float("inf"),
        "", "x", "0", "-1", "nan", "1e999", "\x00", "\ud83d", "x" * 10_000, "../../x", "/", "C:\\x", "\u0663",
        "\x1b]0;x\x07", [], {}, [None], [[]], {"": {}}, [1, 2, 3], ["a"], {"a": 1}, [0] * 1000, "evil:net",
        "smp:unet/resnet18", "300000x300000", [10**6, 10**6],
    ))  # fmt: skip


def in_json(content: bytes, rng: random.Random) -> bytes:
    """Changes a value of JSON; now and then its bytes, or its depth."""
    way = rng.random()
    if way < 0.25:
        return in_bytes(content, rng)
    if way < 0.3:
        return b"[" * _DEEP + b"]" * _DEEP
    value = in_value(json.loads(content), rng)
    if way < 0.34:
        value = _nested(value, 60)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = {"a": [value]}
    return value


def in_json_lines(content: bytes, rng: random.Random) -> bytes:
    """Changes one line of many."""
    lines = content.splitlines(keepends=True)
    if not lines or rng.random() < 0.3:
        return in_bytes(content, rng)
    place = rng.randrange(len(lines))
    ending = rng.choice((b"\n", b"\n", b"\n", b"", b"\r\n", b"\n\n"))
    lines[place] = in_json(lines[place].strip() or b"{}", rng) + ending
    return b"".join(lines)


def in_toml(content: bytes, rng: random.Random) -> bytes:
    """Changes a value of TOML; now and then its bytes, or its depth."""
    way = rng.random()
    if way < 0.3:
        return in_bytes(content, rng)
    if way < 0.35:
        return b"x = " + b"[" * 5000 + b"]" * 5000
    if way < 0.4:
        return b"\xef\xbb\xbf" + content
    for _ in range(20):
        try:
            return tomli_w.dumps(in_value(tomllib.loads(content.decode()), rng)).encode("utf-8")
        except (TypeError, ValueError, AttributeError):  # TOML holds less than JSON
            continue
    return in_bytes(content, rng)


def in_text(content: bytes, rng: random.Random) -> bytes:
    """Changes lines."""
    lines = content.decode("utf-8", "replace").splitlines()
    if not lines or rng.random() < 0.4:
        return in_bytes(content, rng)
    more = (
        "",
        "#",
        "# root: /",
        "# root: ..",
        "x" * 5000 + ".png",
        "a\x00.png",
        "../../x.png",
        ".png",
        "\ufeff",
        "~root/x.png",
    )
    lines[rng.randrange(len(lines))] = rng.choice((*more, *lines))
    if rng.random() < 0.2:
        lines *= 50
    return "\n".join(lines).encode("utf-8")


def in_zip(content: bytes, rng: random.Random) -> bytes:
    """Changes one member and packs the archive anew; now and then the archive itself, or what is said of a member."""
    if rng.random() < 0.3:
        return in_bytes(content, rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        # The structure lies in the pickle or the header of the array.
        likely = [name for name in names if name.endswith((".pkl", ".npy"))] or names
        chosen = rng.choice(likely if rng.random() < 0.8 else names)
        for name in names:
            member = old.read(name)
            if name == chosen:
                if rng.random() < 0.05:
                    continue
                member = in_bytes(member, rng)
            new.writestr(name, member, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)) if name == chosen else 0)
    return packed.getvalue()


def in_pickle_numbers(content: bytes, rng: random.Random) -> bytes:
    """Changes numbers of the pickle in an archive: sizes, strides and offsets of tensors, all else left whole."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            if name.endswith("data.pkl"):
                member = _other_numbers(member, rng)
            new.writestr(name, member)
    return packed.getvalue()


def _other_numbers(member: bytes, rng: random.Random) -> bytes:
    places = [found.start() for found in re.finditer(rb"K[\x00-\xff]", member)]
    for place in sorted(rng.sample(places, min(len(places), rng.choice((1, 2, 6)))), reverse=True):
        number = rng.choice(_NUMBERS[:15])
        member = member[:place] + b"\x8a\x09" + number.to_bytes(9, "little") + member[place + 2 :]
    return member


def in_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Changes the header, or the card inside it, with a length that is right again."""
    if rng.random() < 0.3:
        return in_bytes(content, rng)
    length = int.from_bytes(content[:8], "little")
    head, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    metadata = head.get("__metadata__", {})
    if "crots" in metadata and rng.random() < 0.5:
        metadata["crots"] = in_json(metadata["crots"].encode(), rng).decode("utf-8", "replace")
    else:
        head = in_value(head, rng)
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + rest


def in_png(content: bytes, rng: random.Random) -> bytes:
    """Changes a chunk and makes its checksum right again."""
    if rng.random() < 0.4:
        return in_bytes(content, rng)
    chunks, place = [], 8
    while place + 8 <= len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += length + 12
    index = rng.randrange(len(chunks)) if rng.random() < 0.5 else 0
    kind, body = chunks[index]
    if index == 0 and rng.random() < 0.7:
        width, height = (rng.choice((0, 1, 7, 64, 5000, 9999, 20_000, 2**31 - 1, 2**32 - 1)) for _ in range(2))
        body = struct.pack(">II", width, height) + body[8:]
    else:
        body = in_bytes(body, rng)
    chunks[index] = (kind, body)
    if rng.random() < 0.1:
        chunks.insert(1, (b"zTXt", b"x\x00\x00" + zlib.compress(bytes(10**7))))
    written = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return content[:8] + b"".join(written)


def in_onnx(content: bytes, rng: random.Random) -> bytes:
    """Changes a field: sizes, types, names, operators, data outside the file, the card."""
    if rng.random() < 0.4:
        return in_bytes(content, rng)
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    way = rng.randrange(9)
    if way == 0:
        side = rng.choice(rng.choice((graph.input, graph.output))[0].type.tensor_type.shape.dim)
        side.dim_value = rng.choice((0, -1, 1, 7, 100_000, 2**62))
    elif way == 1:
        tensor = rng.choice(graph.initializer)
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice((0, -1, 1, 10**6, 2**62))
    elif way == 2:
        rng.choice(graph.node).op_type = rng.choice(("", "Relu", "Loop", "If", "ConstantOfShape", "Nonsense", "Tile"))
    elif way == 3:
        del rng.choice((graph.input, graph.output, graph.node, graph.initializer))[:]
    elif way == 4:
        tensor = rng.choice(graph.initializer)
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        entry = tensor.external_data.add()
        entry.key, entry.value = (
            "location",
            rng.choice(("../x", "/etc/hostname", "x", "", "classes.toml", "\ud800x"[1:])),
        )
    elif way == 5:
        entry = model.metadata_props[0] if model.metadata_props else model.metadata_props.add()
        entry.key, entry.value = "crots", in_json((entry.value or "{}").encode(), rng).decode("utf-8", "replace")
    elif way == 6:
        rng.choice((graph.input, graph.output))[0].type.tensor_type.elem_type = rng.randrange(0, 30)
    elif way == 7:
        (model.opset_import[0] if model.opset_import else model.opset_import.add()).version = rng.choice((0, -1, 999))
    else:
        made = onnx.helper.make_node("ConstantOfShape", ["fuzz_shape"], ["fuzz_made"])
        sides = [rng.choice((1, 1000, 10**5, 10**9)) for _ in range(rng.choice((1, 2, 4)))]
        graph.initializer.append(onnx.helper.make_tensor("fuzz_shape", 7, [len(sides)], sides))
        graph.node.insert(0, made)
    return bytes(model.SerializeToString())

"""How honest bytes become hostile ones; checksums are mended, so that what is wrong gets in."""

import gzip
import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence

import numpy as np

EXTREME = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 65_000, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
LONGER = (*EXTREME, 2**40, 2**62, 2**63 - 1, 2**64 - 1)

TOKENS = (
    *("0", "-1", "1", "3.5", "1e999", "-1e999", "1e-999", "9" * 400, "9" * 5000, "2147483648"),
    *("null", "true", "[]", "{}", '""', '"\\ud800"', '"$\\\\frac$"', '"../../x"', "[[[[[0]]]]]"),
    *("NaN", "Infinity", '"nan"', '"Dense"', "[1000000, 1000000]", "[-1]", "[null]", '{"a": 1}'),
)
"""What may stand in the place of any value in JSON."""

Mutator = Callable[[bytes, np.random.Generator], bytes]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with one to four of the things done to them that can be done to any."""
    for _ in range(int(rng.integers(1, 5))):
        data = BYTEWISE[int(rng.integers(len(BYTEWISE)))](data, rng)
    return data


def _somewhere(data: bytes, rng: np.random.Generator) -> int:
    """A position, half of the time near the beginning, where headers are."""
    return int(rng.integers(len(data) + 1) if rng.random() < 0.5 else rng.integers(64)) % (
        len(data) + 1
    )


def _block(data: bytes, rng: np.random.Generator) -> slice:
    start = _somewhere(data, rng)
    return slice(start, start + int(2 ** rng.uniform(0, 9)))


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if changed:
            changed[_somewhere(data, rng) % len(changed)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _enormous(data: bytes, rng: np.random.Generator) -> bytes:
    layout = str(rng.choice(["<B", "<H", ">H", "<I", ">I", "<Q", ">Q"]))
    largest = 256 ** struct.calcsize(layout) - 1
    number = struct.pack(layout, LONGER[int(rng.integers(len(LONGER)))] & largest)
    position = _somewhere(data, rng)
    return data[:position] + number + data[position + len(number) :]


def _lose(data: bytes, rng: np.random.Generator) -> bytes:
    block = _block(data, rng)
    return data[: block.start] + data[block.stop :]


def _double(data: bytes, rng: np.random.Generator) -> bytes:
    block, position = _block(data, rng), _somewhere(data, rng)
    return data[:position] + data[block] * int(rng.integers(1, 5)) + data[position:]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    block = _block(data, rng)
    return data[: block.start] + rng.bytes(len(data[block])) + data[block.stop :]


def _same(data: bytes, rng: np.random.Generator) -> bytes:
    block, value = _block(data, rng), int(rng.choice([0, 0xFF, 0x20, 0x80]))
    return data[: block.start] + bytes([value]) * len(data[block]) + data[block.stop :]


def _cut_off(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


BYTEWISE: tuple[Mutator, ...] = (_flip, _enormous, _lose, _double, _noise, _same, _cut_off)


def damaged_gzip(data: bytes, rng: np.random.Generator) -> bytes:
    """The stream itself, or what is packed in it, then packed again."""
    if rng.random() < 0.5:
        return damaged(data, rng)
    return gzip.compress(damaged(gzip.decompress(data), rng), mtime=0)


def damaged_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """The archive itself, or one of its members: JSON by its values, arrays by their bytes."""
    if rng.random() < 0.2:
        return damaged(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(rng.choice(list(members)))
    if rng.random() < 0.5:
        name = next(iter(members))  # the header
    how = rng.random()
    if name.endswith(".json") and how < 0.8:
        members[name] = damaged_json(members[name], rng)
    elif how < 0.9:
        members[name] = damaged(members[name], rng)
    elif how < 0.95:
        del members[name]
    else:
        members[str(rng.choice([*members, "W9.npy", "../x.npy", "x", "/x"]))] = members[name]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that of two members with one name
        for member, inside in members.items():
            archive.writestr(member, inside)
        if rng.random() < 0.05:  # which of the two is meant?
            archive.writestr(name, damaged(members.get(name, b""), rng))
    return content.getvalue()


def damaged_json(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three of the values replaced by others, or a name by another name."""
    text = data.decode()
    for _ in range(int(rng.integers(1, 4))):
        pattern = r'"[^"]*"(?=\s*:)' if rng.random() < 0.1 else r'(?<=: )("[^"]*"|[-\w.+]+)'
        if rng.random() < 0.1:
            pattern = r"\[[^\[\]{}]*\]"  # a whole list
        found = list(re.finditer(pattern, text))
        if not found:
            continue
        position = found[int(rng.integers(len(found)))]
        values = [*TOKENS, found[int(rng.integers(len(found)))].group()]
        text = text[: position.start()] + str(rng.choice(values)) + text[position.end() :]
    return text.encode()


def damaged_png(data: bytes, rng: np.random.Generator) -> bytes:
    """The file itself, or one of its chunks, with its checksum mended; pixels before packing."""
    if rng.random() < 0.4 or data[:4] != b"\x89PNG":
        return damaged(data, rng)
    chunks, position, body = [], 8, data[:8]
    while position + 12 <= len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        chunks.append(
            [data[position + 4 : position + 8], data[position + 8 : position + 8 + length]]
        )
        position += 12 + length
    chunk = chunks[int(rng.integers(len(chunks)))]
    if chunk[0] == b"IDAT" and rng.random() < 0.5:
        chunk[1] = zlib.compress(damaged(zlib.decompress(chunk[1]), rng))
    elif rng.random() < 0.8:
        chunk[1] = damaged(chunk[1], rng)
    else:
        chunks.insert(int(rng.integers(len(chunks))), chunk)
    for kind, inside in chunks:
        ends = struct.pack(">I", len(inside)), struct.pack(">I", zlib.crc32(kind + inside))
        body += ends[0] + kind + inside + ends[1]
    return body


def mutants(
    honest: Sequence[bytes], mutate: Mutator, seed: int, number: int
) -> tuple[bytes, np.random.Generator]:
    """The mutant of this seed and number, and noise for whoever reads it: always the same."""
    rng = np.random.default_rng((seed, number))
    return mutate(honest[int(rng.integers(len(honest)))], rng), rng

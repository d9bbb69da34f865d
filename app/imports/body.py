"""A calendar file as it was sent: bytes, or a file on the disk that is read in pieces and never held."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import SEEK_END, BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast
from weakref import finalize

PIECE, LARGE = 1 << 18, 1 << 20


@dataclass(frozen=True, eq=False)
class Body:
    """A file that can be read from anywhere; by one thread at a time."""

    file: BinaryIO

    @classmethod
    def of(cls, stream: IO[bytes]) -> Body:
        """What comes out of a stream: as it is where it is a file, else copied into one."""
        return cls(cast(BinaryIO, stream)) if stream.seekable() else cls.spooled(iter(lambda: stream.read(PIECE), b""))

    @classmethod
    def spooled(cls, pieces: Iterator[bytes]) -> Body:
        """These pieces, in a temporary file."""
        file = cast(BinaryIO, SpooledTemporaryFile(LARGE))  # noqa: SIM115 - closed with the body
        body = cls(file)
        finalize(body, file.close)
        for piece in pieces:
            file.write(piece)
        return body

    @cached_property
    def size(self) -> int:
        return self.file.seek(0, SEEK_END)

    def pieces(self) -> Iterator[bytes]:
        """From its beginning."""
        self.file.seek(0)
        while piece := self.file.read(PIECE):
            yield piece


Data = bytes | Body


def opened(data: Data) -> BinaryIO:
    return BytesIO(data) if isinstance(data, bytes) else data.file


def pieces(data: Data) -> Iterator[bytes]:
    """All of it, so much at a time."""
    return iter((data,)) if isinstance(data, bytes) else data.pieces()


def hashed(data: Data) -> bytes:
    """SHA-256."""
    digest = sha256()
    for piece in pieces(data):
        digest.update(piece)
    return digest.digest()


def compressed(data: Data) -> bytes:
    """By zlib, as the store keeps it."""
    packer = zlib.compressobj(1)
    return b"".join((*map(packer.compress, pieces(data)), packer.flush()))


def restored(data: bytes) -> Data:
    """What was compressed; on the disk where it is large."""
    unpacker = zlib.decompressobj()
    first = unpacker.decompress(data, PIECE)
    if not unpacker.unconsumed_tail:
        return first + unpacker.flush()

    def rest() -> Iterator[bytes]:
        yield first
        while unpacker.unconsumed_tail:
            yield unpacker.decompress(unpacker.unconsumed_tail, PIECE)
        yield unpacker.flush()

    return Body.spooled(rest())

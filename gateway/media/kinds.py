"""What a file is, by its content, and what becomes of it; pure."""

from __future__ import annotations

import codecs
from typing import Literal

from gateway.types.inbound import Attachment

Treatment = Literal["image", "pdf", "text", "audio", "other"]
HEAD = 4096  # bytes that tell what a file is
# Signatures at their place, as the formats' own specifications have them.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-executable"),
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}


def type_of(head: bytes) -> str:
    """The media type of a file that begins with these HEAD bytes; application/octet-stream when nothing tells."""
    for at, sign, type in _MAGIC:
        if head[at : at + len(sign)] == sign:
            return type
    if b"%PDF-" in head[:1024]:  # ISO 32000, annex H: readers look for it in the first 1024 bytes
        return "application/pdf"
    return "text/plain" if head and encoding_of(head) else "application/octet-stream"


def encoding_of(head: bytes) -> str | None:
    """How a text that begins so is encoded; None when it is no text."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if b"\x00" in head:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        printable = sum(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in head)
        return "cp1252" if printable == len(head) else None
    strange = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)
    return "utf-8" if strange == 0 else None


def treatment(type: str, attachment: Attachment) -> Treatment:
    """What becomes of a file of that *type*. What its sender calls it decides only what is heard, not read."""
    if type in ("image/jpeg", "image/png", "image/gif", "image/webp"):
        return "image"
    if type == "application/pdf":
        return "pdf"
    if type == "text/plain":
        return "text"
    if type.startswith("audio/") or (
        type.startswith("video/") and attachment.kind in ("voice", "audio", "video")
    ):
        return "audio"
    return "other"

"""Files as people send them, made here: pictures, PDF documents, recordings, and what should not be opened."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pypdf
from PIL import Image


def picture(
    width: int = 40, height: int = 30, *, format: str = "PNG", colour: str = "red", **more: object
) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, format, **more)  # type: ignore[arg-type]
    return out.getvalue()


def noise(width: int, height: int, *, format: str = "PNG") -> bytes:
    """A picture that cannot be made small."""
    out = io.BytesIO()
    Image.effect_noise((width, height), 100).convert("RGB").save(out, format)
    return out.getvalue()


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of a few hundred bytes that claims so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000), 9)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pdf(*pages: str, password: str = "") -> bytes:
    """A document with that text on its pages; ASCII."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{3 + 2 * at} 0 R" for at in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    for at, text in enumerate(pages):
        shown = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        content = f"BT /F1 12 Tf 72 720 Td ({shown}) Tj ET".encode()
        font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {4 + 2 * at} 0 R "
            f"/Resources << /Font << /F1 {font} >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _locked(_written(objects), password) if password else _written(objects)


def pdf_bomb(megabytes: int = 200) -> bytes:
    """A small document whose one page unpacks to so much."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"0 0 m " * 174_763) for _ in range(megabytes)) + packer.flush()
    return _written([
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed),
    ])  # fmt: skip


def _written(objects: list[bytes]) -> bytes:
    out, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + end + trailer


def _locked(document: bytes, password: str) -> bytes:
    writer, out = pypdf.PdfWriter(clone_from=io.BytesIO(document)), io.BytesIO()
    writer.encrypt(password, algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def zip_bomb(megabytes: int = 200) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zeros", bytes(megabytes * 1_000_000))
    return out.getvalue()


def recording(seconds: float = 0.1) -> bytes:
    """Silence as WAV: 8 kHz, 8 bit."""
    data = b"\x80" * int(8000 * seconds)
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + len(data),
        b"WAVE",
        b"fmt ",
        16,
        1,
        1,
        8000,
        8000,
        1,
        8,
        b"data",
        len(data),
    )
    return head + data

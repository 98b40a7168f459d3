"""A process of its own that opens what strangers have made: PDF, images, web pages. It takes no more than it is given.

    python -m gateway.media.worker pdf FILE           {"text": …, "pages": …, "read": …}
    python -m gateway.media.worker image FILE TARGET  {"type": …, "width": …, "height": …}
    python -m gateway.media.worker page FILE          {"title": …, "text": …, "cut": …}; {"url", "charset"} on stdin

One line of JSON on stdout, {"error": CODE} when it cannot be done. The parent reads nothing else of it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pypdf

MEMORY = (
    512 * 1024 * 1024
)  # bytes of address space, of which the interpreter and the libraries have a good part
CPU = 20  # seconds
NICE = 10  # behind everything that people wait for
FILE = 32 * 1024 * 1024  # bytes of anything it writes
MOST_STREAM = 8 * 1024 * 1024  # bytes that one compressed part of a PDF may come to
MOST_TEXT = 200_000  # characters of a PDF
MOST_PAGES = 200
PATIENCE = 10.0  # seconds for the pages of a PDF; what was read until then counts
# Claude scales down what has a longer side: "Vision", Evaluate image size. Others take as much.
LONGEST_SIDE = 1568
MOST_SIDE = 8000  # pixels that Anthropic takes; same page
MOST_BYTES = 3_700_000  # with base64 under the 5 MB that Anthropic takes; "Vision", FAQ
MOST_PIXELS = 3840 * 2160  # of what must be decoded whole; JPEG can be decoded smaller
MOST_JPEG_PIXELS = 200_000_000


def main(args: list[str]) -> int:
    os.nice(NICE)
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU),
        (resource.RLIMIT_FSIZE, FILE),
    ):
        _bound(limit, most)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    try:
        match args[0]:
            case "pdf":
                answer = pdf(Path(args[1]))
            case "page":
                from gateway.media.page import page

                # Not among the arguments, which everybody on the machine can see: an address may be secret.
                answer = page(Path(args[1]), **json.load(sys.stdin))
            case _:
                answer = image(Path(args[1]), Path(args[2]))
    except MemoryError:
        answer = {"error": "too_much"}
    except Exception as error:  # noqa: BLE001 - the edge of a process: libraries raise anything on what is broken
        answer = {"error": "unreadable", "why": type(error).__name__}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _bound(limit: int, most: int) -> None:
    """At most that, or less where we were given less. macOS knows no limit of the address space."""
    _, hard = resource.getrlimit(limit)
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(limit, (least, least))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


def pdf(path: Path) -> dict[str, Any]:
    """The text of a PDF, page by page, as far as the limits go."""
    import pypdf

    pypdf.overwrite_configuration(
        pypdf.Configuration(
            array_based_stream_maximum_output_length=MOST_STREAM,
            jbig2_maximum_output_length=MOST_STREAM,
            lzw_maximum_output_length=MOST_STREAM,
            run_length_maximum_output_length=MOST_STREAM,
            zlib_maximum_output_length=MOST_STREAM,
            brotli_maximum_output_length=MOST_STREAM,
        )
    )
    reader = pypdf.PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):
        return {"error": "locked"}
    began = time.monotonic()
    tree: Any = reader.root_object["/Pages"].get_object()
    count = tree.get("/Count", 0)
    texts: list[str] = []
    size = read = 0
    for page in islice(_pages(reader), MOST_PAGES):
        try:
            text = page.extract_text().strip()
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - one broken page is no broken document
            text = ""
        texts.append(text)
        size, read = size + len(text), read + 1
        if size > MOST_TEXT or time.monotonic() - began > PATIENCE:
            break
    joined = "\n\n".join(text for text in texts if text)
    return {
        "text": joined[:MOST_TEXT],
        "pages": max(read, count if isinstance(count, int) else 0),
        "read": read,
    }


def _pages(reader: pypdf.PdfReader) -> Iterator[pypdf.PageObject]:
    """One after the other; the library would make an object of each of ten thousand before it gives the first."""
    import pypdf
    from pypdf.generic import NameObject

    seen: set[int] = set()
    stack: list[tuple[Any, dict[str, Any]]] = [(reader.root_object["/Pages"], {})]
    while stack:
        node, inherited = stack.pop()
        node = node.get_object()
        if not isinstance(node, dict) or id(node) in seen:
            continue
        seen.add(id(node))
        # ISO 32000-1, table 30: what pages inherit from the nodes above them.
        kept = {key: node[key] for key in ("/Resources", "/MediaBox", "/CropBox", "/Rotate") if key in node}
        inherited = inherited | kept
        if "/Kids" in node:
            stack.extend((kid, inherited) for kid in reversed(node["/Kids"]))
            continue
        page = pypdf.PageObject(reader)
        page.update({NameObject(key): value for key, value in (inherited | dict(node)).items()})
        yield page


def image(path: Path, target: Path) -> dict[str, Any]:
    """A picture as models take it; *target* is written only when it must be another one."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # we look ourselves, before anything is decoded
    with Image.open(path, formats=("JPEG", "PNG", "GIF", "WEBP")) as picture:
        width, height = picture.size
        jpeg = picture.format == "JPEG"
        if width * height > (MOST_JPEG_PIXELS if jpeg else MOST_PIXELS):
            return {"error": "too_many_pixels", "width": width, "height": height}
        kind = f"image/{(picture.format or '').lower()}"
        moving = getattr(picture, "n_frames", 1) > 1
        longest = LONGEST_SIDE if jpeg else MOST_SIDE
        fits = max(width, height) <= longest and path.stat().st_size <= MOST_BYTES and not moving
        turned = picture.getexif().get(0x0112, 1) != 1  # Exif: Orientation
        if fits and not turned:
            picture.load()  # whether it can be opened at all
            return {"type": kind, "width": width, "height": height}
        if jpeg:  # decoded at a half, a quarter or an eighth, never smaller than asked for
            side, least = max(width, height, LONGEST_SIDE), LONGEST_SIDE * 3 // 4
            picture.draft("RGB", (width * least // side, height * least // side))
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        whole = ImageOps.exif_transpose(picture)
        if whole.mode in ("RGBA", "LA", "PA", "P"):
            clear = whole.convert("RGBA")
            whole = Image.new("RGB", clear.size, "white")
            whole.paste(clear, mask=clear.getchannel("A"))
        whole.convert("RGB").save(target, "JPEG", quality=85)
        return {"type": "image/jpeg", "width": whole.width, "height": whole.height}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""The name under which a file is sent: from whoever it comes, it is a name and nothing else."""

from __future__ import annotations

import re
import unicodedata

from channels.fields import storable

MOST = 100  # characters
# What ends a quoted string in a header, what separates folders, and what no usual file system takes.
_FORBIDDEN = re.compile(r'["\'`\\/:*?<>|;%]')
LONGEST_ENDING = 12  # characters of .tar.gz and the like that are kept where a name is cut


def cleaned(name: str) -> str:
    """The last part of a path, without control characters, quotes and direction marks; 'file' if nothing is left."""
    last = re.split(r"[\\/]", storable(name))[-1]
    # Cc, Cf, Zl, Zp: controls, invisible marks (among them those that turn the reading direction), line ends.
    shown = "".join(each for each in last if unicodedata.category(each) not in ("Cc", "Cf", "Zl", "Zp"))
    plain = _FORBIDDEN.sub("_", " ".join(shown.split())).strip(" .")
    if len(plain) > MOST:
        stem, dot, ending = plain.rpartition(".")
        tail = dot + ending if stem and len(ending) < LONGEST_ENDING else ""
        plain = plain[: MOST - len(tail)].rstrip(" .") + tail
    return plain or "file"

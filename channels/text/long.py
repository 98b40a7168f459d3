"""Answers too long to be read in a chat: the beginning is said, and the whole follows as a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from channels.text import blocks, split
from gateway.types.outbound import Chunk, File

MOST = 5  # messages of an answer; a longer one is a file
CODE = 2  # messages of one block of code; a longer one is a file
ANSWER = "answer.md"
_SUFFIXES = {
    "python": "py", "python3": "py", "javascript": "js", "node": "js", "typescript": "ts", "bash": "sh",
    "shell": "sh", "zsh": "sh", "console": "txt", "powershell": "ps1", "yml": "yaml", "rust": "rs", "golang": "go",
    "c++": "cpp", "c#": "cs", "csharp": "cs", "ruby": "rb", "kotlin": "kt", "haskell": "hs", "perl": "pl",
    "markdown": "md", "latex": "tex", "dockerfile": "dockerfile", "make": "mk", "makefile": "mk", "elixir": "ex",
    "clojure": "clj", "julia": "jl", "matlab": "m", "objective-c": "m", "terraform": "tf", "hcl": "tf", "text": "txt",
}  # fmt: skip
_KNOWN = (
    "py js jsx ts tsx sh ps1 json jsonl yaml toml ini html css scss sql rs go java c h cpp hpp cs rb php swift kt "
    "lua r scala dart xml csv md diff patch tex svg vue zig nix proto graphql pl hs ex clj jl tf bat"
)
_OWN = frozenset(_KNOWN.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """How a platform shows a text: *all* gives its messages, *beginning* the first with a note under it."""

    all: Callable[[str], Sequence[Chunk]]
    beginning: Callable[[str, str], Chunk]


def chunks(markdown: str, pages: Pages) -> list[Chunk]:
    """The messages of an answer, and after them those that carry files; at most MOST without these.

    A block of code that would fill more than CODE messages is a file, with a line in its place. An answer that
    is longer even so is its first message and one file with all of it.
    """
    shown = list(pages.all(markdown))
    if len(shown) <= CODE:
        return shown
    text, files = _without_code(split.clean(markdown), pages)
    if files:
        shown = list(pages.all(text))
    if len(shown) <= MOST:
        return shown + [Chunk(text="", file=file) for file in files]
    whole = File(name=ANSWER, type="text/markdown", text=split.clean(markdown))
    return [pages.beginning(markdown, f"… {_mention(ANSWER)}"), Chunk(text="", file=whole)]


def suffix(language: str) -> str:
    """What names of files in that language end with; txt when it is not known."""
    name = language.lower()
    return _SUFFIXES.get(name, name if name in _OWN else "txt")


def _without_code(markdown: str, pages: Pages) -> tuple[str, list[File]]:
    """The text with long blocks of code named only, and these as files."""
    parts = blocks.parts(markdown)
    files: list[tuple[int, File]] = []
    for at, part in enumerate(parts):
        code = blocks.code(part)
        if code is not None and len(pages.all(part)) > CODE:
            language = (code.info.split() or [""])[0]
            file = File(
                name=f"code.{suffix(language)}", type="text/plain", text=code.content.rstrip("\n") + "\n"
            )
            files.append((at, file))
    if len(files) > 1:
        files = [
            (at, replace(file, name=file.name.replace("code", f"code-{number}", 1)))
            for number, (at, file) in enumerate(files, 1)
        ]
    for at, file in files:
        parts[at] = _mention(file.name)
    return "\n\n".join(parts), [file for _, file in files]


def _mention(name: str) -> str:
    # As code: platforms make links of names such as code.py, for there are such domains.
    return f"📎 `{name}`"

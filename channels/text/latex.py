"""LaTeX as it is read without TeX: letters, signs and raised numbers of Unicode."""

import re

from channels.text.symbols import (
    ABOVE,
    ACCENTS,
    BELOW,
    BLACKBOARD,
    CALLIGRAPHIC,
    PLAIN,
    SILENT,
    SPACES,
    SYMBOLS,
)  # fmt: skip

DEEPEST = 20  # groups within groups
_WORD = re.compile(r"\\(?:[A-Za-z]+\*?|.|\n|\Z)|[{}^_&~']|[^\\{}^_&~']+", re.S)
# What needs no brackets beside a stroke, a root or a mark: a number, a word or a sign, with what is raised on it.
_SIMPLE = re.compile(r"[√∛∜]?(?:\d+(?:\.\d+)?|[^\W\d_]+|.)[²³¹⁰⁴-⁹₀-₉]*", re.S)
_SINGLE = re.compile(r"\d+|.", re.S)


def readable(latex: str) -> str:
    """The formula in Unicode; what is not known stays as it was written. Lines are kept, \\\\ begins a new one."""
    text = _Reader(_WORD.findall(latex)).group()
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    return "\n".join(line for line in lines if line) or latex.strip()


class _Reader:
    """Reads words from the left; everything it gives is text to be shown."""

    def __init__(self, words: list[str]) -> None:
        self._words, self._at, self._depth = words, 0, 0

    def group(self) -> str:
        """Up to the brace that closes, or the end."""
        out: list[str] = []
        self._depth += 1
        while self._at < len(self._words):
            word = self._words[self._at]
            self._at += 1
            if word == "}" and self._depth > 1:
                break
            out.append(self._one(word))
        self._depth -= 1
        return "".join(out)

    def _one(self, word: str) -> str:
        if self._depth >= DEEPEST:
            return word
        if word == "{":
            return self.group()
        if word == "^":
            return _moved(self._argument(), ABOVE, "^")
        if word == "_":
            return _moved(self._argument(), BELOW, "_")
        if word.startswith("\\"):
            return self._command(word[1:])
        return {"'": "′", "~": " ", "&": " "}.get(word, word)

    def _command(self, name: str) -> str:
        if name in ("\\", "newline", "cr"):
            return "\n"
        bare = name.rstrip("*")
        if bare in SYMBOLS:
            return SYMBOLS[bare]
        if name in SPACES or bare in SILENT:
            if name in ("left", "right") and self._peek(".") is not None:
                self._words[self._at] = self._words[self._at][1:]
            return SPACES.get(name, "")
        match bare:
            case "frac" | "dfrac" | "tfrac" | "cfrac":
                return f"{_closed(self._argument())}/{_closed(self._argument())}"
            case "binom" | "dbinom" | "tbinom":
                return f"C({self._argument()}, {self._argument()})"
            case "sqrt":
                degree = self._option()
                root = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree, _moved(degree, ABOVE, "^") + "√")
                return root + _closed(self._argument())
            case "mathbb" | "mathcal" | "mathscr":
                letters = BLACKBOARD if bare == "mathbb" else CALLIGRAPHIC
                return "".join(letters.get(char, char) for char in self._argument())
            case "begin" | "end":
                return self._environment()
            case "pmod":
                return f"(mod {self._argument()})"
            case "not":
                return self._argument() + "\u0338"
        if bare in PLAIN:
            return self._argument()
        if bare in ACCENTS:
            return "".join(char + ACCENTS[bare] for char in self._argument())
        if not name[:1].isalpha():
            return name or "\\"
        return f"\\{name}{{{self._argument()}}}" if self._peek("{") is not None else "\\" + name

    def _environment(self) -> str:
        name = self._argument()
        if name.rstrip("*") == "array" and self._peek("{") is not None:
            self._argument()  # its columns
        return ""

    def _peek(self, begin: str) -> str | None:
        found = self._at < len(self._words) and self._words[self._at].startswith(begin)
        return self._words[self._at] if found else None

    def _option(self) -> str:
        """What stands in brackets, where that is one word long."""
        word = self._peek("[")
        end = word.find("]") if word else -1
        if word is None or end < 0:
            return ""
        self._words[self._at] = word[end + 1 :]
        return word[1:end]

    def _argument(self) -> str:
        """The group, the command or the one character that comes next."""
        while self._at < len(self._words):
            word = self._words[self._at].lstrip()
            if not word:
                self._at += 1
                continue
            if word[0] in "\\{^_&~'" or len(word) == 1:
                if word == "}":
                    return ""
                self._at += 1
                self._depth += 1
                found = self._one(word)
                self._depth -= 1
                return found
            self._words[self._at] = word[1:]
            return word[0]
        return ""


def _closed(text: str) -> str:
    """In brackets unless it is one word or sign."""
    text = text.strip()
    return text if _SIMPLE.fullmatch(text) else f"({text})"


def _moved(text: str, letters: dict[str, str], mark: str) -> str:
    if text and all(char in letters for char in text):
        return "".join(letters[char] for char in text).replace(" ", "")
    if not text or _SINGLE.fullmatch(text):
        return mark + text
    return f"{mark}({text})"

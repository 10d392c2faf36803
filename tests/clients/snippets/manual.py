"""What the manual shows: the fenced blocks of its pages, and what a block says that it prints."""

import pathlib
import re
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[3]

# Stands for what differs from one run to the next, maybe behind the first digits of a token.
ANYTHING = re.compile(r"(?:[0-9a-f]{4})?…")
# Ids are long; a page shows some, and each run has its own.
IDS = re.compile(r"\d{15,}")


@dataclass
class Block:
    """A fenced block: its place, its language, its text as it stands."""

    section: str
    language: str
    text: str
    place: str

    def prints(self):
        """The lines that stand behind an arrow, in order."""
        return [line.strip() for line in re.findall(r"→ (.*)", self.text)]

    def check(self, output):
        """Compares what was printed with what the page says; of a block that says nothing, there is nothing to compare."""
        want = self.prints()
        if want and not re.fullmatch(pattern("\n".join(want)), squeezed(output), re.DOTALL):
            raise Wrong(f"{self.place} prints\n{output.strip()[:2000]}\nand says\n" + "\n".join(want))


class Wrong(Exception):
    """The manual says something that is not so."""


def squeezed(text):
    """A text without colours and spaces between words: a page breaks its lines where it likes."""
    return re.sub(r"\s+", "", re.sub(r"\x1b\[[0-9;]*m", "", text))


def pattern(text):
    """What a text of the manual matches."""
    text = IDS.sub("…", squeezed(text))
    return ".*?".join(re.escape(part) for part in ANYTHING.split(text))


def indented(page, before):
    """The first indented block behind a sentence of a page."""
    text = (ROOT / page).read_text()
    found = re.search(r"\n\n((?:    .*\n)+)", text[text.index(before) :])
    return re.sub(r"(?m)^    ", "", found[1])


def blocks(page):
    """All fenced blocks of a page, each with the last heading before it."""
    section, language, lines, start = "", None, [], 0
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        if language is None and (fence := re.fullmatch(r"```(\w+)", line)):
            language, lines, start = fence[1], [], number
        elif language is None and (heading := re.match(r"#+ (.*)", line)):
            section = heading[1]
        elif language is not None and line == "```":
            yield Block(section, language, "\n".join(lines) + "\n", f"{page}:{start}")
            language = None
        elif language is not None:
            lines.append(line)
    if language is not None:
        raise Wrong(f"{page}:{start}: a block without an end")

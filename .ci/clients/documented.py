"""The blocks of code of docs/clients.md, as they stand there: `run.py` runs them."""

import os
import re

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "clients.md")


def blocks():
    """(section, language, text) of each block."""
    with open(PAGE, encoding="utf-8") as page:
        parts = re.split(r"^## (.+)$", page.read(), flags=re.MULTILINE)
    for section, text in zip(parts[1::2], parts[2::2]):
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            yield section, language, code


def filled(code, stack):
    """The code with what a reader fills in."""
    assert "ORIGIN" in code or "sk-fb-…" in code, code
    return code.replace("ORIGIN", stack.origin).replace("sk-fb-…", stack.key)


def of(section, language, place=0):
    found = [code for one, kind, code in blocks() if (one, kind) == (section, language)]
    return found[place]


def exports(code):
    """What the lines `export NAME=value` of a shell block set."""
    return dict(re.findall(r'^export (\w+)="?(.*?)"?$', code, flags=re.MULTILINE))

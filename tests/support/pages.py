"""Pages of Markdown: their code blocks, what their comments promise, and their links."""

import builtins
import re
import sys

# What a comment says of a printed line word for word: names in quotes, truth, shapes, a number at
# its beginning.
STATED = re.compile(r'"(\w+)"|\b(True|False)\b|(\([\d, ]+\))|^(\d[\d.]*)\b')


def run_blocks(page, folder):
    """Run the Python blocks of a page, one after the other, and hold what they print against the
    comments beside it.
    """
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    # With a file behind it, what the compiler and the loss report say of a line can be read.
    script = folder / f"{page.stem}.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    printed = {}

    def noted(*values, **how):
        printed[sys._getframe(1).f_lineno] = " ".join(map(str, values))
        builtins.print(*values, **how)

    code = compile(script.read_text(encoding="utf-8"), script, "exec")
    exec(code, {"__name__": page.stem.lower(), "print": noted})
    for number, line in enumerate("\n".join(blocks).splitlines(), 1):
        if line.startswith("print(") and "  # " in line:
            check_comment(line.split("  # ", 1)[1], printed[number])


def check_comment(comment, printed):
    """Assert that what a comment states word for word was printed.

    Examples
    --------
    >>> check_comment('below 1e-3, "proof"', "0.0004 proof")
    """
    for stated in re.finditer(STATED, comment):
        word = next(one for one in stated.groups() if one)
        alone = rf"(?<![\w.]){re.escape(word)}(?!\w)"
        assert re.search(alone, printed), f"{word} of the comment {comment!r} is not in {printed!r}"


def dead_links(page):
    """Links of a page to files that are not there, or to headings that the file does not have."""
    dead = []
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    return dead


def anchors(page):
    """By which GitHub knows the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]

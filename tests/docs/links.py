#!/usr/bin/env python3
"""Looks whether the links in the Markdown of this tree lead somewhere: links.py FILE…

A link to a file must name one that is there, a link to a part of a page a heading of it. Links
to other sites are not followed."""
import pathlib
import re
import sys


def anchors(path):
    """Of each heading, as GitHub makes them."""
    out, code = set(), False
    for line in path.read_text().splitlines():
        code ^= line.startswith("```")
        heading = None if code else re.match(r"#+ (.*)", line)
        if heading:
            words = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            n, name = 0, words
            while name in out:
                n += 1
                name = f"{words}-{n}"
            out.add(name)
    return out


def wrong_links(path):
    # What is in code is none
    text = re.sub(r"```.*?```|`[^`\n]*`|^    .*$", "", path.read_text(), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        if not other.exists():
            yield f"{path}: {target}: there is no such file"
        elif anchor and other.suffix == ".md" and anchor not in anchors(other):
            yield f"{path}: {target}: there is no such heading"


def main():
    wrong = [line for name in sys.argv[1:] for line in wrong_links(pathlib.Path(name))]
    print("\n".join(wrong) or f"{len(sys.argv) - 1} files")
    sys.exit(1 if wrong else 0)


main()

#!/usr/bin/env python3
"""Writes the manual pages and the reference of the configuration: manuals.py BUILD DIR.

What there is comes from the programs in BUILD, which print it of their own tables
(--describe-config, --manual, kcsctl manual); what it is for, from the comments of the samples in
conf/. A key without words there, and words of a key that is none, are errors.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("kcs-dataplane", "kcs-control")
INTRO = (
    "One YAML file a process, read at start. A key that is left out has its default. An unknown "
    "key, a value of another type or out of range is an error that names the line and, of keys, "
    "the nearest one; the program then ends with status 4, or, when SIGHUP had kcs-control read it "
    "again, goes on with what it had.")


def ask(build, program, *args):
    return subprocess.run([build / program, *args], check=True, capture_output=True,
                          text=True).stdout


def describe(build, program):
    rows = [line.split("\t") for line in ask(build, program, "--describe-config").splitlines()]
    return [dict(zip(("key", "type", "may_be", "default"), row)) for row in rows]


def comments(sample):
    """The comment lines above or beside each key of a sample, and lists' values beside it."""
    said, value, path, block = {}, {}, [], []
    for line in sample.read_text().splitlines():
        stripped = line.strip()
        if stripped == "":
            block = []
        elif stripped.startswith("#"):
            block.append(stripped[1:].removeprefix(" "))
        else:
            found = re.match(r"( *)(?:- )?([a-z0-9_]+):(.*)", line)
            indent = len(found[1]) + (2 if stripped.startswith("- ") else 0)
            if stripped.startswith("- ") or (path and path[-1][2] and indent == path[-1][0]):
                path = [p for p in path if p[0] < indent or not p[2]]
                entry = True
            else:
                path = [p for p in path if p[0] < indent]
                entry = False
            path.append((indent, found[2], entry))
            if not entry and not any(p[2] for p in path):
                key = ".".join(p[1] for p in path)
                said[key] = block
                value[key] = found[3].strip()
            block = []
    return said, value


def split(block):
    """Paragraphs and samples of a comment: indented lines and list entries are samples."""
    parts, code = [], False
    for line in block:
        sample = bool(re.match(r"  |- ", line))
        if not parts or sample != code:
            parts.append([sample, []])
        parts[-1][1].append(line)
        code = sample
    return parts


def entries(build):
    """For each program a list of (row, comment); of entries of lists the comment is the list's."""
    out, wrong = [], []
    for program in PROGRAMS:
        name = program.removeprefix("kcs-") + ".yaml"
        said, value = comments(TOP / "conf" / name)
        rows = describe(build, program)
        groups = {}
        for row in rows:
            if row["type"] == "list" and value.get(row["key"], "").startswith("["):
                row["default"] = value[row["key"]]
            parent = row["key"].rpartition(".")[0]
            groups.setdefault(parent, []).append(row)
        known = {row["key"] for row in rows}
        known |= {k.rsplit(".", n)[0] for k in list(known) for n in range(1, k.count(".") + 1)}
        wrong += [f"{name}: '{key}' is no key" for key in said if key not in known]
        for row in rows:
            key = row["key"]
            # what is said above a group of keys, or above the first of some, is said of all
            row["text"] = said.get(key, [])
            if "[]" not in key and key not in said:
                wrong.append(f"{name}: nothing is said of '{key}'")
        heads = {k: said[k] for k in said if k in known - {r["key"] for r in rows}}
        out.append((program, name, rows, heads))
    if wrong:
        sys.exit("\n".join(wrong))
    return out


def facts(row):
    default = f"; default `{row['default']}`" if row["default"] not in ("", '""') else ""
    return f"{row['type']}, {row['may_be']}{default}"


def markdown(all_of):
    text = ["# Configuration reference", "",
            "<!-- Made by tools/lib/manuals.py of the programs' own tables and the comments of "
            "conf/: change those. -->", "", INTRO, "",
            "How to check a file: `kcsctl check control FILE`, `kcsctl check dataplane FILE`. What "
            "matters first, and what goes with it, is in [operations](operations.md#configuration).",
            ""]

    def put(block, indent=""):
        for code, lines in split(block):
            more = indent + "    " if code else indent
            text.extend([more + line for line in lines] if not code else
                        ["", *[more + line for line in lines], ""])

    for program, name, rows, heads in all_of:
        text += [f"## {name} ({program})", ""]
        group = None
        for row in rows:
            first = row["key"].split(".")[0].removesuffix("[]")
            if first != group:
                group = first
                text += ["", f"### `{first}`", ""]
                if first in heads:
                    put(heads[first])
                    text.append("")
            for head in heads:
                if row["key"].startswith(head + ".") and "." in head:
                    put(heads.pop(head))
                    text.append("")
                    break
            text.append(f"- **`{row['key']}`**: {facts(row)}")
            if row["text"]:
                text.append("")
                put(row["text"], "  ")
                text.append("")
        text.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(text)).rstrip() + "\n"


def roff(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line.startswith((".", "'")) else line


def manual(all_of):
    text = ['.\\" Made by tools/lib/manuals.py.',
            '.TH KCS.YAML 5 "" "KCS" "KCS media node"', ".SH NAME",
            "kcs.yaml \\- configuration of kcs\\-control and kcs\\-dataplane", ".SH DESCRIPTION",
            roff(INTRO)]

    def put(block):
        for code, lines in split(block):
            text.extend([".nf", *map(roff, lines), ".fi"] if code else map(roff, lines))

    for program, name, rows, heads in all_of:
        text.append(f".SH {name.upper()}")
        text.append(roff(f"Of {program}: /etc/kcs/{name}."))
        for row in rows:
            for head in list(heads):
                if row["key"] == head or row["key"].startswith((head + ".", head + "[")):
                    text.append(".PP")
                    put(heads.pop(head))
            text += [".TP", f"\\fB{roff(row['key'])}\\fR", roff(facts(row).replace("`", ""))]
            if row["text"]:
                text.append(".br")
                put(row["text"])
    text += [".SH SEE ALSO",
             "\\fBkcs\\-control\\fR(8), \\fBkcs\\-dataplane\\fR(8), \\fBkcsctl\\fR(1)"]
    return "\n".join(text) + "\n"


def main():
    build, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    (out / "man").mkdir(parents=True, exist_ok=True)
    (out / "man/kcsctl.1").write_text(ask(build, "kcsctl", "manual"))
    (out / "man/kcs-loadgen.1").write_text(ask(build, "kcs-loadgen", "--manual"))
    for program in PROGRAMS:
        (out / f"man/{program}.8").write_text(ask(build, program, "--manual"))
    (out / "configuration.md").write_text(markdown(entries(build)))
    (out / "man/kcs.yaml.5").write_text(manual(entries(build)))


main()

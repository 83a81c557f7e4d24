#!/usr/bin/env python3
"""Keys of the configuration that a text names are there: keys.py CONFIGURATION.md FILE..."""
import re
import sys

known = set(re.findall(r"^- \*\*`([a-z0-9_.\[\]]+)`\*\*", open(sys.argv[1], encoding="utf-8").read(),
                       re.MULTILINE))
known = {key.replace("[]", "") for key in known}
prefixes = {".".join(key.split(".")[:n]) for key in known for n in range(1, key.count(".") + 1)}
sections = {key.split(".")[0] for key in known if "." in key}
word = re.compile(r"(?<![\w./@-])(" + "|".join(sorted(sections)) +
                  r")(?:\[\])?((?:\.(?!md\b|yaml\b|jsonl\b|[ch]\b)[a-z][a-z0-9_]*(?:\[\])?)+)(?![\w/(-])")
wrong = 0

for name in sys.argv[2:]:
    for number, line in enumerate(open(name, encoding="utf-8"), 1):
        for found in word.finditer(line):
            key = (found[1] + found[2]).replace("[]", "")
            if key not in known and key not in prefixes:
                print(f"{name}:{number}: no such key: {found[0]}")
                wrong += 1
print(f"{len(known)} keys")
sys.exit(wrong > 0)

#!/usr/bin/env python3
"""Holds the tree to its structure: who may include whom, where a library may be used, that
headers stand alone and that the fast path calls nothing that waits.

usage: arch.py [BUILD]    BUILD (default: build) has the static libraries of the dataplane

One line per check, 'ok NAME' or 'FAIL NAME' with the findings below it.
"""

import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# 'A: B' means a file of folder A may include headers of A and of the folders B.
DATAPLANE = {
    "core": "wire base",
    "pkt": "base",
    "crypt": "wire base",
    "stream": "core pkt base",
    "table": "stream core crypt pkt base",
    "lane": "table pkt base",
    "io": "pkt base",
    "stage": "lane table stream core crypt pkt wire base",
    "rtcp": "lane table stream core crypt pkt wire base",
    "worker": "stage rtcp lane table stream crypt io pkt abi base",
    "": "worker io conf base",  # main.c and its configuration
}

# The folders of control; 'base' (errors, bytes, handles) is open to all of them.
CONTROL = {
    "sys": "",
    "metric": "sys",
    "trace": "sys metric",
    "proto": "wire",
    "net": "sys",
    "store": "sys",
    "event": "store proto sys",
    "mongo": "store",
    "media": "abi",
    "auth": "store proto",
    "dtls": "sys",
    "sctp": "sys",
    "session": "media dtls sctp proto abi",
    "placement": "store media",
    "admin": "meeting placement session media auth store proto net abi",
    "recording": "media abi",
    "archive": "recording auth store proto",
    "meeting": "placement session auth event store media recording abi",
    "schema": "auth",
    "signal": "meeting schema auth store proto net",
    "rest": "meeting archive schema auth store proto net",
    "egress": "wire abi",
    "": "app mongo egress",  # main.c, egress_main.c
}
# Folders above sys, metric and trace may use them; app builds every one.
for _name in CONTROL:
    CONTROL[_name] += " base"
    if _name not in ("sys", "metric", "trace", "proto", "egress"):
        CONTROL[_name] += " sys metric trace"
CONTROL["app"] = " ".join(n for n in CONTROL if n) + " conf abi wire"
CONTROL[""] += " conf"

SFU = {"base": "", "wire": "base", "abi": "base", "conf": ""}

TOOLS = {
    "": "",
    "kcsctl": "proto wire abi base",
    "loadgen": "proto wire abi base",
    # What tools/bench runs drives the dataplane itself, so it sees all of it; and the outbox.
    # Control as a whole is asked.
    "benchmarks": " ".join(n for n in DATAPLANE if n) +
                  " event store sys metric trace proto wire abi base",
}

# An outside header (regular expression) and the only folders that may include it.
LIBRARIES = [
    (r"intel-ipsec-mb\.h", "dataplane/crypt tools/benchmarks"),
    (r"srtp2/.*", "dataplane/crypt tools/loadgen"),
    # The floors of the benchmarks are bare loops on DPDK (docs/decisions/0011).
    (r"rte_.*", "dataplane/io dataplane/table dataplane/lane tools/benchmarks"),
    (r"bpf/.*|xdp/.*|linux/bpf\.h|linux/if_xdp\.h", "dataplane/io tools/benchmarks"),
    (r"curl/.*", "control/event control/archive tools/kcsctl"),
    (r"libwebsockets\.h", "control/net tools/benchmarks"),
    (r"nghttp2/.*", "control/net"),
    (r"zlib\.h", "control/net"),
    (r"librdkafka/.*", "control/event tools/benchmarks"),
    # kcs-loadgen is a peer that shares no media code with what it tests.
    # net/ renews the certificate, which libwebsockets cannot (decision 0015), and has
    # HTTP/2's TLS (0032).
    (r"openssl/(ssl|dtls1|x509|srtp)\.h", "control/dtls control/net tools/loadgen tools/benchmarks"),
    (r"usrsctp\.h", "control/sctp"),
    (r"sqlite3\.h", "control/store"),
    (r"(mongoc|bson)/.*", "control/mongo"),
    (r"sodium\.h", "control/auth"),
    (r"lib(av|sw)[a-z]+/.*", "control/egress"),
    (r"cairo\.h|fontconfig/.*", "control/egress tools/benchmarks"),
    (r"cyaml/.*|yaml\.h", "include/sfu/conf"),
    (r"jansson\.h", "control/proto control/signal control/rest control/event "
                    "control/store control/auth control/schema control/admin control/archive "
                    "tools/kcsctl tools/loadgen"),
]

# Names of libraries that a header could let out, and the folders they may be seen in.
NAMES = [
    (r"\b(rte_|RTE_)\w+", "dataplane/io dataplane/table dataplane/lane tools/benchmarks"),
    (r"\bstruct lws\b|\blws_\w+", "control/net tools/benchmarks"),
    (r"\bnghttp2_\w+", "control/net"),
    (r"\brd_kafka_\w+", "control/event tools/benchmarks"),
    (r"\bjson_t\b", "control/proto control/signal control/rest control/event "
                    "control/store control/auth control/schema control/admin control/archive "
                    "tools/kcsctl tools/loadgen"),
    # libwebsockets takes OpenSSL's option bits for its listeners.
    (r"\bSSL_(?!OP_)\w+|\bSSL \*", "control/dtls control/net tools/loadgen tools/benchmarks"),
    (r"\busrsctp_\w+", "control/sctp"),
    (r"\bsqlite3_\w+", "control/store"),
    (r"\b(mongoc|bson)_\w+", "control/mongo"),
]

# Pure folders include the standard headers of C and nothing else from outside.
PURE = ("include/sfu/base", "include/sfu/wire", "dataplane/core")
STANDARD_C = set(
    "assert ctype errno float inttypes iso646 limits math stdalign stdarg stdatomic stdbool "
    "stddef stdint stdio stdlib string".split())

TOP_LEVEL = {"CMakeLists.txt", "dataplane", "control", "include", "tests", "tools", "conf",
             "docs", "README.md"}

FAST_PATH = ("dp_core", "dp_table", "dp_lane", "dp_stage", "dp_rtcp")
# What the fast path may call in the dataplane besides itself.
FAST_PATH_NEIGHBOURS = ("dp_pkt", "dp_stream", "dp_crypt")

PACKAGES = ("libdpdk usrsctp libsrtp2 openssl rdkafka libcurl jansson libuv libwebsockets libnghttp2 libcyaml yaml-0.1 libbpf "
            "libxdp sqlite3 libsodium libmongoc-1.0").split()
WARNINGS = ("-Wall -Wextra -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Werror").split()

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def tree():
    """All files of the tree, relative to its root, without what git ignores."""
    git = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=False)
    if git.returncode == 0 and git.stdout:
        names = git.stdout.splitlines()
    else:
        names = []
        for top, dirs, files in os.walk(ROOT):
            dirs[:] = [d for d in dirs if d not in (".git", "node_modules", "__pycache__") and
                       not (top == ROOT and d.startswith("build"))]
            names += [os.path.relpath(os.path.join(top, f), ROOT) for f in files]
    return sorted(n for n in set(names) if os.path.isfile(os.path.join(ROOT, n)))


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def place(name):
    """The area and folder of a file: 'control/proto/jwt.h' -> ('control', 'proto')."""
    parts = name.split("/")
    if parts[:2] == ["include", "sfu"]:
        return "sfu", parts[2] if len(parts) > 3 else ""
    return parts[0], parts[1] if len(parts) > 2 else ""


def resolve(name, target, files):
    """The file of the tree that '#include "target"' in 'name' means, or None."""
    for base in (os.path.dirname(name), "include", "dataplane", "control", "tools", "tests"):
        path = os.path.normpath(os.path.join(base, target))
        if path in files:
            return path
    return None


def at_home(name, folders):
    """Whether a file is in one of the folders or below it."""
    return any(name.startswith(folder + "/") for folder in folders.split())


def arrow_allowed(area, folder, to_area, to_folder):
    tables = {"sfu": SFU, "dataplane": DATAPLANE, "control": CONTROL, "tools": TOOLS}
    if area == to_area and folder == to_folder:
        return True
    if (area, folder, to_area, to_folder) == ("tools", "benchmarks", "tests", "support"):
        return True  # the virtual network (docs/decisions/0030)
    if to_area not in ("sfu", "dataplane", "control"):
        return False  # nobody includes tests or tools
    if {area, to_area} == {"dataplane", "control"}:
        return False
    return to_folder in tables[area].get(folder, "").split()


def check_arrows(files):
    """includes follow the arrows"""
    found = []
    known = set(files)
    for name in sources(files):
        area, folder = place(name)
        for kind, target in INCLUDE.findall(read(name)):
            path = resolve(name, target, known)
            if path is None:
                if kind == '"':
                    found.append(f'{name}: includes "{target}", which is not in the tree')
                continue
            if ".." in target:
                found.append(f'{name}: "{target}" climbs; name it from its root')
            if not arrow_allowed(area, folder, *place(path)):
                found.append(f'{name}: may not include "{target}"')
    return found


def check_libraries(files):
    """each library is included in its folder only"""
    found = []
    for name in sources(files):
        home = os.path.dirname(name)
        for kind, target in INCLUDE.findall(read(name)):
            if kind != "<":
                continue
            for pattern, folders in LIBRARIES:
                if re.fullmatch(pattern, target) and not at_home(name, folders):
                    found.append(f"{name}: <{target}> belongs to {folders}")
            if home in PURE and target.removesuffix(".h") not in STANDARD_C:
                found.append(f"{name}: <{target}> is not standard C")
    return found


def check_names(files):
    """names of libraries stay in their folder"""
    found = []
    for name in sources(files):
        text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), read(name))
        for pattern, folders in NAMES:
            if at_home(name, folders):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                hit = None if line.lstrip().startswith("#") else re.search(pattern, line)
                if hit:
                    found.append(f"{name}:{number}: '{hit.group()}' belongs to {folders}")
    return found


def library_flags():
    flags = []
    for package in PACKAGES:
        out = subprocess.run(["pkg-config", "--cflags", package], capture_output=True,
                             text=True, check=False)
        flags += out.stdout.split()
    return ["-isystem" + f[2:] if f.startswith("-I") else f for f in flags
            if not f.startswith("-march")]


def check_headers(files):
    """every header compiles alone"""
    flags = library_flags()

    def compile_one(name):
        area = place(name)[0]
        roots = {"sfu": [], "dataplane": ["dataplane"], "control": ["control"],
                 "tools": ["dataplane", "control", "tools", "tests"]}[area]
        cmd = ["gcc", "-x", "c", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only",
               "-march=x86-64-v3", *WARNINGS, "-I" + os.path.join(ROOT, "include")]
        cmd += ["-I" + os.path.join(ROOT, r) for r in roots] + flags
        # Included twice, as a header without a guard must not get by either.
        out = subprocess.run(cmd + ["-"], input=f'#include "{ROOT}/{name}"\n' * 2,
                             capture_output=True, text=True, check=False)
        lines = out.stderr.replace(ROOT + "/", "").splitlines()
        return None if out.returncode == 0 else "\n    ".join([name] + lines[:6])

    headers = [n for n in sources(files) if n.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [bad for bad in pool.map(compile_one, headers) if bad]


def symbols(library, *options):
    """(object file, symbol) pairs of a static library."""
    out = subprocess.run(["nm", "-A", *options, library], capture_output=True, text=True,
                         check=True)
    pairs = []
    for line in out.stdout.splitlines():
        where, _, rest = line.partition(" ")
        pairs.append((where.rstrip(":").split(":")[-1], rest.split()[-1].split("@")[0]))
    return pairs


def read_allowed():
    """(library, pattern) pairs of nm-allow.txt."""
    pairs = []
    with open(os.path.join(os.path.dirname(__file__), "nm-allow.txt"),
              encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            pairs += [(words[0], pattern) for pattern in words[1:]]
    return pairs


def check_symbols(build):
    """the fast path calls nothing that waits"""
    dirs = {}
    for top, _, names in os.walk(build):
        for name in names:
            if name.startswith("libdp_") and name.endswith(".a"):
                dirs[name[3:-2]] = os.path.join(top, name)
    missing = [n for n in FAST_PATH if n not in dirs]
    if missing:
        return [f"{build} has no lib{n}.a: build first" for n in missing]
    own = set()
    for library in FAST_PATH + FAST_PATH_NEIGHBOURS:
        if library in dirs:
            own |= {s for _, s in symbols(dirs[library], "--defined-only")}
    allowed = read_allowed()
    found = []
    for library in FAST_PATH:
        for obj, symbol in symbols(dirs[library], "-u"):
            if symbol not in own and not any(
                    fnmatch.fnmatchcase(library, lib) and fnmatch.fnmatchcase(symbol, pattern)
                    for lib, pattern in allowed):
                found.append(f"{library}: {obj} calls {symbol}")
    return found


def check_paths(files):
    """no file names a path that a clone does not have"""
    outside = re.compile(r"/(?:wor[k]|hom[e]|roo[t]|User[s]|mn[t])/[A-Za-z0-9_.]|\.\./share[d]\b")
    found = []
    for name in files:
        if os.path.islink(os.path.join(ROOT, name)):
            target = os.path.realpath(os.path.join(ROOT, name))
            if not target.startswith(ROOT + "/"):
                found.append(f"{name}: links out of the tree")
            continue
        text = read(name)
        if "\0" in text:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            hit = outside.search(line)
            # a path within a URL or a longer path is not one of this machine
            if hit and not re.search(r"[\w.:/-]$", line[:hit.start()]):
                found.append(f"{name}:{number}: {hit.group()}")
    return found


def check_top(files):
    """the top level holds what it should"""
    return sorted({f"{top} has no place at the top level" for top in
                   (n.split("/")[0] for n in files)
                   if top not in TOP_LEVEL and not top.startswith(".")})


def sources(files):
    return [n for n in files if n.endswith((".c", ".h")) and
            place(n)[0] in ("sfu", "dataplane", "control", "tools")]


def check_drops(files):
    """each reason for a drop is explained in docs/operations.md and has a test"""
    found = []
    names = re.findall(r'X\((DROP_\w+), "(\w+)"', read("dataplane/pkt/drop.h"))
    # the table of reasons, not a word of it somewhere
    table = read("docs/operations.md").partition("| reason | what it tells |")[2]
    told = set()
    for row in table.partition("\n\n")[0].splitlines():
        told.update(re.findall(r"`(\w+)`", row.split("|")[1]) if row.startswith("|") else [])
    tests = "".join(read(name) for name in files if name.startswith("tests/"))
    for constant, name in names:
        if name not in told:
            found.append(f"docs/operations.md: no row for the reason `{name}`")
        if constant not in tests:
            found.append(f"tests: {constant} is in none")
    for name in sorted(told - {name for _, name in names}):
        found.append(f"docs/operations.md: `{name}` is no reason for a drop")
    return found if names else ["dataplane/pkt/drop.h: no reasons found"]


def main():
    build = os.path.join(ROOT, sys.argv[1] if len(sys.argv) > 1 else "build")
    files = tree()
    checks = [(check_arrows, files), (check_libraries, files), (check_names, files),
              (check_headers, files), (check_symbols, build), (check_paths, files),
              (check_top, files), (check_drops, files)]
    failed = 0
    for check, subject in checks:
        found = check(subject)
        failed += bool(found)
        name = check.__name__.removeprefix("check_")
        print(f"{'FAIL' if found else 'ok'} arch/{name}: {check.__doc__}", flush=True)
        for line in found:
            print(f"    {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Runs a program as a systemd unit would confine it, without systemd: confined.py UNIT PROGRAM
ARGUMENT... Of the unit's lines it applies CapabilityBoundingSet (nothing else is inherited or
ambient), SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute and
NoNewPrivileges; the process keeps its id, so that it is the program."""
import os
import subprocess
import sys

import seccomp

# What systemd lets through besides (systemd.exec(5)).
ALWAYS = ("execve exit exit_group getrlimit rt_sigreturn sigreturn brk clock_getres "
          "clock_gettime clock_nanosleep gettimeofday nanosleep time").split()
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16, "AF_PACKET": 17,
            "AF_XDP": 44}
LAST_FAMILY = 46
PROT_WRITE, PROT_EXEC = 2, 4
EPERM, EAFNOSUPPORT = 1, 97


def lines(unit, key):
    with open(unit, encoding="utf-8") as text:
        return [line.split("=", 1)[1].strip() for line in text if line.startswith(key + "=")]


def read_groups():
    """What systemd calls by names that begin with @."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"],
                          check=True, capture_output=True, text=True).stdout
    groups, name = {}, None
    for line in text.splitlines():
        word = line.split("#")[0].strip()
        if line.startswith("@"):
            name = word
            groups[name] = []
        elif line.startswith(" ") and word:
            groups[name].append(word)
        elif word:
            name = "other"  # what is in no group
            groups.setdefault(name, [])
    return groups


def expand(groups, name):
    """The system calls of a group, or the one that is named."""
    if not name.startswith("@"):
        return {name}
    return set().union(*(expand(groups, word) for word in groups[name]))


def allowed(unit):
    groups, calls = read_groups(), set(ALWAYS)
    for line in lines(unit, "SystemCallFilter"):
        names = set().union(*(expand(groups, name) for name in line.lstrip("~").split()))
        calls = calls - names if line.startswith("~") else calls | names
    return calls | set(ALWAYS)


def load_filter(unit):
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(EPERM))
    calls = allowed(unit)
    families = {FAMILIES[name] for line in lines(unit, "RestrictAddressFamilies")
                for name in line.split()}
    no_exec = lines(unit, "MemoryDenyWriteExecute") == ["yes"]
    for call in calls - {"socket", "mmap", "mprotect"}:
        try:
            rules.add_rule(seccomp.ALLOW, call)
        except RuntimeError:
            pass  # of another architecture, or newer than the library
    for family in range(LAST_FAMILY):
        action = seccomp.ALLOW if family in families else seccomp.ERRNO(EAFNOSUPPORT)
        rules.add_rule(action, "socket", seccomp.Arg(0, seccomp.EQ, family))
    if no_exec:
        for prot in (0, PROT_WRITE, PROT_EXEC):  # all but both at once
            rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(
                2, seccomp.MASKED_EQ, PROT_WRITE | PROT_EXEC, prot))
        rules.add_rule(seccomp.ALLOW, "mprotect",
                       seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
        # the loader, of the programs that are executed from here on
        rules.add_rule(seccomp.ALLOW, "mprotect", seccomp.Arg(2, seccomp.EQ, PROT_EXEC | 1))
    else:
        rules.add_rule(seccomp.ALLOW, "mmap")
        rules.add_rule(seccomp.ALLOW, "mprotect")
    rules.load()


def main():
    if sys.argv[1] == "--filter":
        unit, program = sys.argv[2], sys.argv[3:]
        load_filter(unit)
        os.execvp(program[0], program)
    unit = sys.argv[1]
    names = [name.lower().removeprefix("cap_")
             for name in " ".join(lines(unit, "CapabilityBoundingSet")).split()]
    kept = "".join(f",+{name}" for name in names)
    os.execvp("setpriv", ["setpriv", f"--bounding-set=-all{kept}", f"--inh-caps=-all{kept}",
                          f"--ambient-caps=-all{kept}", "--no-new-privs", sys.executable,
                          os.path.abspath(__file__), "--filter", *sys.argv[1:]])


main()

#!/usr/bin/env python3
"""A small systemd for tests: supervisor.py PORT PROGRAM ARGUMENT... holds 127.0.0.1:PORT open (0:
nothing), starts the program with it, prints what the program tells its notification socket, starts
it again when it has ended by our SIGHUP, and ends with it by SIGTERM. A program that was ready and
says nothing for SILENCE_S is killed and started again, as systemd does with WatchdogSec; "killed PID"
is printed then."""
import os
import select
import signal
import socket
import sys
import tempfile

FIRST_FD = 3
WATCHDOG_US = "400000"
SILENCE_S = 3  # longer than the program is asked to be silent: the machine may be busy


def start(held, notify, program):
    pid = os.fork()
    if pid == 0:
        os.environ.update(NOTIFY_SOCKET=notify, WATCHDOG_USEC=WATCHDOG_US,
                          WATCHDOG_PID=str(os.getpid()), LISTEN_PID=str(os.getpid()),
                          LISTEN_FDS="0" if held is None else "1")
        if held is not None:
            os.dup2(held.fileno(), FIRST_FD)
        os.execv(program[0], program)
    return pid


def main():
    port, program = int(sys.argv[1]), sys.argv[2:]
    spare = os.open("/dev/null", os.O_RDONLY)  # so that no other file is FIRST_FD
    held = socket.create_server(("127.0.0.1", port), backlog=256) if port else None
    directory = tempfile.mkdtemp(prefix="kcs-notify-")
    path = os.path.join(directory, "socket")
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(path)
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_out, False)
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_out)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    pid, over, alive, stuck = start(held, path, program), False, False, False
    while True:
        ready, _, _ = select.select([told, wake_in], [], [], SILENCE_S if alive else None)
        if told in ready:
            alive = True
            print(told.recv(4096).decode(), flush=True)
        if not ready:
            print(f"killed {pid}", flush=True)
            os.kill(pid, signal.SIGKILL)
            alive, stuck = False, True
        if wake_in not in ready:
            continue
        for number in os.read(wake_in, 64):
            if number in (signal.SIGHUP, signal.SIGTERM):
                over = over or number == signal.SIGTERM
                os.kill(pid, signal.SIGTERM)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended == pid and not over and (status == 0 or stuck):
            pid, alive, stuck = start(held, path, program), False, False
        elif ended == pid:
            os.unlink(path)
            os.rmdir(directory)
            os.close(spare)
            sys.exit(os.waitstatus_to_exitcode(status) & 255)


main()

"""Run a program: its output goes to a log and line by line to whoever watches; it ends when we are told to stop."""

import os
import signal
import subprocess
import threading
import time

GRACE_SECONDS = 5


class Stopped(Exception):
    """Somebody asked us to stop (Ctrl-C, SIGTERM)."""


class Ended:
    """How a program ended. `status` is None when it could not be started; `text` is what it wrote."""

    def __init__(self, status, text, seconds, note=""):
        self.status = status
        self.text = text
        self.seconds = seconds
        self.note = note  # "timed out after 60 s", "No such file or directory", ...

    def tail(self, lines=20):
        return "\n".join(self.text.splitlines()[-lines:])


def start_child(command, errors, environment=None):
    """A Popen whose stdout is a pipe, or Ended where there is no such program."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C reaches us, and we tell the child
        )
    except OSError as error:
        return Ended(None, "", 0.0, f"{command[0]}: {error.strerror}")


def run(command, log, watch=None, seconds_limit=3600, environment=None):
    """
    Run until it ends, at most `seconds_limit`. stdout and stderr together go to the file `log`; watch(line) is called
    for each line. On Stopped the child is asked to end (SIGINT, then SIGKILL) and Stopped goes on with `ended` set.
    """
    start = time.monotonic()
    child = start_child(command, subprocess.STDOUT, environment)
    if isinstance(child, Ended):
        return child
    lines = []
    timer = threading.Timer(seconds_limit, kill_group, [child, signal.SIGKILL])
    timer.start()
    try:
        with open(log, "ab") as file:
            copy_lines(child, file, lines, watch)
        child.wait()
    except Stopped as stopped:
        end_child(child)
        with open(log, "ab") as file:
            copy_lines(child, file, lines, None)
        stopped.ended = Ended(child.returncode, "".join(lines), time.monotonic() - start, "stopped")
        raise
    finally:
        timed_out = not timer.is_alive()
        timer.cancel()
        child.stdout.close()
    note = f"timed out after {seconds_limit} s" if timed_out else ""
    return Ended(child.returncode, "".join(lines), time.monotonic() - start, note)


def output_of(command, log, seconds_limit=600):
    """As run(), for a program whose stdout is long and alone is wanted: only stderr goes to the log."""
    start = time.monotonic()
    with open(log, "ab") as file:
        child = start_child(command, file)
        if isinstance(child, Ended):
            return child
        try:
            text, note = child.communicate(timeout=seconds_limit)[0], ""
        except subprocess.TimeoutExpired:
            kill_group(child, signal.SIGKILL)
            text, note = child.communicate()[0], f"timed out after {seconds_limit} s"
        except Stopped:
            end_child(child)
            raise
    return Ended(child.returncode, text.decode("utf-8", "replace"), time.monotonic() - start, note)


def copy_lines(child, file, lines, watch):
    for raw in child.stdout:
        file.write(raw)
        file.flush()
        line = raw.decode("utf-8", "replace")
        lines.append(line)
        if watch:
            watch(line.rstrip("\n"))


def end_child(child):
    """Ask the program alone: a fuzzer that outlives its symbolizer cannot say what it did. Then end all that is left."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    kill_group(child, signal.SIGKILL)  # what it started would hold our pipe open
    child.wait()


def kill_group(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def stop_on_signals():
    """From here on SIGINT, SIGTERM and SIGHUP raise Stopped, once; later ones are ignored while we tidy up."""

    def stop(number, _frame):
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(signal.Signals(number).name)

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)

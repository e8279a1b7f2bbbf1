"""Programs that the gate runs. They end when the gate does."""

import os
import signal
import subprocess
import time

from gatelib.failure import CannotMeasure

GRACE_SECONDS = 2

running = set()  # children of all threads, for end_all


class Deadline:
    """The time budget; what is started after its end is refused, what runs into it is ended."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.start = time.monotonic()

    def used(self):
        return time.monotonic() - self.start

    def left(self):
        return self.seconds - self.used()

    def check(self, doing):
        if self.left() <= 0:
            raise CannotMeasure(f"the budget of {self.seconds:g} s was used up while {doing}; give --budget SECONDS")


class Result:
    def __init__(self, status, stdout, stderr):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr

    def tail(self, lines=12):
        return "\n".join((self.stdout + self.stderr).rstrip().splitlines()[-lines:])


def run(command, deadline, doing, cwd=None, environment=None):
    """
    The Result of a program, whatever its exit code. `doing` ends the sentence "the budget was used up while ...".
    In a session of its own, so that a signal to us leaves nothing behind: compilers under ninja end with it.
    """
    deadline.check(doing)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        child = subprocess.Popen(
            command, cwd=cwd, env=environment, text=True, errors="replace", start_new_session=True, **pipes
        )
    except OSError as error:
        raise CannotMeasure(f"{command[0]}: {error.strerror} (scripts/setup installs what is missing)") from error
    running.add(child)
    try:
        stdout, stderr = child.communicate(timeout=max(deadline.left(), 0.1))
    except subprocess.TimeoutExpired:
        end(child)
        deadline.check(doing)
        raise
    except BaseException:
        end(child)
        raise
    finally:
        running.discard(child)
        child.stdout.close()
        child.stderr.close()
    return Result(child.returncode, stdout, stderr)


def end(child):
    """End a program and all it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(GRACE_SECONDS)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def end_all():
    """End what other threads wait for; they see it as a failure."""
    for child in list(running):
        end(child)


def stop_on_signals():
    """Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt, once; later ones are ignored while we tidy up."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number, _frame):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in numbers:
        signal.signal(each, stop)

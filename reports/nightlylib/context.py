"""What a result depends on besides the code: commit, machine, compilers, flags."""

import os
import platform
import re
import subprocess


def output_of(command, folder="."):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit(root):
    """The commit checked out, and whether tracked files differ from it. A tree without git gives 'unknown'."""
    full = output_of(["git", "rev-parse", "HEAD"], root)
    if not full:
        return {"id": "unknown", "short": "unknown", "subject": "", "time": "", "modified": False}
    return {
        "id": full,
        "short": full[:12],
        "subject": output_of(["git", "log", "-1", "--format=%s"], root),
        "time": output_of(["git", "log", "-1", "--format=%cI"], root),
        "modified": bool(output_of(["git", "status", "--porcelain", "--untracked-files=no"], root)),
    }


def first_match(path, pattern, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            match = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return default
    return match.group(1).strip() if match else default


def is_virtual():
    return "hypervisor" in first_match("/proc/cpuinfo", r"^flags\s*:(.*)$").split()


def machine():
    """Model of the machine; no host or user name."""
    kilobytes = first_match("/proc/meminfo", r"^MemTotal:\s*(\d+) kB", "0")
    return {
        "cpu": first_match("/proc/cpuinfo", r"^model name\s*:(.*)$", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(kilobytes) * 1024,
        "is_virtual": is_virtual(),
        "kernel": platform.release(),
        "os": first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)', platform.system()),
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def build(folder):
    """Compiler and flags of a build folder, as CMake has them."""
    cache = os.path.join(folder, "CMakeCache.txt")

    def value(name):
        return first_match(cache, rf"^{name}:[A-Z]+=(.*)$")

    kind = value("CMAKE_BUILD_TYPE")
    flags = [value("CMAKE_C_FLAGS"), value(f"CMAKE_C_FLAGS_{kind.upper()}") if kind else ""]
    compiler = value("CMAKE_C_COMPILER")
    version = output_of([compiler, "--version"]).split("\n")[0] if compiler else ""
    return {"compiler": version or compiler or "unknown", "flags": " ".join(flag for flag in flags if flag)}

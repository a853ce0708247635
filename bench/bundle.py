"""Times bundle create, verify and apply, and tar and sha256sum, and prints the table. Called by bundle.sh."""

import os
import shutil
import subprocess
import sys
import time


def measured(command, shell=False):
    """Wall seconds, processor seconds and peak MiB of a command."""
    began = time.monotonic()
    child = subprocess.Popen(command, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"error: {command} failed:\n{said[-2000:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main():
    program, store, folder = sys.argv[1:]
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    bundle, copy, cut = (os.path.join(folder, name) for name in ("all.tar", "copy", "cut.tar"))
    here = [program, "--store", store, "bundle"]
    there = [program, "--store", copy, "bundle"]
    lake = os.path.join(store, "lake")
    work = [
        ("tar and sha256sum", f"tar cf - '{lake}' | tee '{folder}/plain.tar' | sha256sum", True),
        ("create", [*here, "create", bundle, "-q"], False),
        ("create, cut by dates", [*here, "create", cut, "--start", "2020-02-01", "-q"], False),
        ("verify", [*there, "verify", bundle, "-q"], False),
        ("apply", [*there, "apply", bundle, "-q"], False),
        ("apply again", [*there, "apply", bundle, "-q"], False),
    ]
    print(f"{'':24}{'seconds':>9}{'cpu':>8}{'MiB peak':>10}")
    for name, command, shell in work:
        seconds, cpu, peak = measured(command, shell)
        # Of a shell's children the peak is the largest one's.
        print(f"{name:24}{seconds:9.2f}{cpu:8.2f}{peak:10.0f}")
    size = os.path.getsize(bundle)
    print(f"the bundle has {size / 1e6:.0f} MB")
    shutil.rmtree(folder)


main()

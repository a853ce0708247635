#!/usr/bin/env python3
"""wheel.py TREE FOLDER: the Python package, with program and library, as a wheel in FOLDER. Prints its path.

Installers put the parts of a wheel where the program finds its library, and the Python package finds the program:

    backfill/                                           the Python package
    backfill_bars-X.data/scripts/backfill               -> <environment>/bin/backfill
    backfill_bars-X.data/data/lib/backfill/libduckdb.so -> <environment>/lib/backfill/libduckdb.so

The same tree gives the same bytes: members are sorted and have the time SOURCE_DATE_EPOCH. The tag names what
the program and the library need: on Linux, the oldest glibc that has their symbols.
"""

import argparse
import base64
import hashlib
import os
import re
import subprocess
import time
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
#: libduckdb needs a libstdc++ that came with no older one.
GLIBC_MIN = (2, 28)
#: That of libduckdb.dylib.
MACOS_MIN = "11_0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--level", type=int, default=9, help="how much to compress, from 0 to 9")
    args = parser.parse_args()

    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    version = python_version(package["version"])
    stem = f"backfill_bars-{version}"
    library = next((args.tree / "lib/backfill").iterdir())
    tag = f"py3-none-{platform(args.tree / 'bin/backfill', library)}"

    info = f"{stem}.dist-info"
    #: Path in the wheel, content, and whether it can be executed.
    members: list[tuple[str, bytes, bool]] = []
    for file in sorted((ROOT / "python/backfill").iterdir()):
        if file.suffix == ".py" or file.name == "py.typed":
            members.append((f"backfill/{file.name}", file.read_bytes(), False))
    members.append((f"{stem}.data/scripts/backfill", (args.tree / "bin/backfill").read_bytes(), True))
    members.append((f"{stem}.data/data/lib/backfill/{library.name}", library.read_bytes(), False))
    licences = sorted(
        file
        for file in (args.tree / "share/doc/backfill-bars").iterdir()
        if file.name.startswith("LICENSE") or file.name == "NOTICE"
    )
    for file in licences:
        members.append((f"{info}/licenses/{file.name}", file.read_bytes(), False))
    members.append((f"{info}/METADATA", metadata(package, version, [file.name for file in licences]), False))
    members.append((f"{info}/WHEEL", wheel(tag), False))
    members.append((f"{info}/RECORD", record(members, f"{info}/RECORD"), False))

    args.folder.mkdir(parents=True, exist_ok=True)
    path = args.folder / f"{stem}-{tag}.whl"
    write(path, members, args.level)
    print(path)


def python_version(version: str) -> str:
    """The version as Python writes it: 1.0.0-rc.1 is 1.0.0rc1."""
    return re.sub(r"-(alpha|beta|rc)\.?", lambda match: {"alpha": "a", "beta": "b", "rc": "rc"}[match[1]], version)


def platform(program: Path, library: Path) -> str:
    """The platform of a wheel with these."""
    if library.suffix == ".dylib":
        described = subprocess.run(["file", "-b", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        return f"macosx_{MACOS_MIN}_{'arm64' if 'arm64' in described else 'x86_64'}"
    needed = max(GLIBC_MIN, glibc(program), glibc(library))
    machine = {62: "x86_64", 183: "aarch64"}[int.from_bytes(program.read_bytes()[18:20], "little")]
    return f"manylinux_{needed[0]}_{needed[1]}_{machine}"


def glibc(file: Path) -> tuple[int, int]:
    """The newest glibc whose symbols a file needs."""
    dump = subprocess.run(["objdump", "-p", file], check=True, stdout=subprocess.PIPE, text=True).stdout
    return max((int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", dump))


def metadata(package: dict, version: str, licences: list[str]) -> bytes:
    head = [
        "Metadata-Version: 2.4",
        f"Name: {package['name']}",
        f"Version: {version}",
        f"Summary: {package['description']}",
        f"Keywords: {','.join(package['keywords'])}",
        f"License-Expression: {package['license']}",
        *(f"License-File: {name}" for name in licences),
        "Requires-Python: >=3.10",
        "Requires-Dist: pyarrow>=15",
        "Provides-Extra: pandas",
        'Requires-Dist: pandas; extra == "pandas"',
        "Provides-Extra: polars",
        'Requires-Dist: polars; extra == "polars"',
        "Classifier: Environment :: Console",
        "Classifier: Programming Language :: Python :: 3",
        "Classifier: Programming Language :: Rust",
        "Classifier: Topic :: Office/Business :: Financial",
        "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown",
    ]
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    return ("\n".join(head) + "\n\n" + text).encode()


def wheel(tag: str) -> bytes:
    return f"Wheel-Version: 1.0\nGenerator: backfill-bars\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()


def record(members: list[tuple[str, bytes, bool]], own: str) -> bytes:
    lines = []
    for path, content, _ in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join([*lines, f"{own},,\n"]).encode()


def write(path: Path, members: list[tuple[str, bytes, bool]], level: int) -> None:
    date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content, is_program in members:
            member = zipfile.ZipInfo(name, date)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # Unix: the mode counts
            member.external_attr = (0o100755 if is_program else 0o100644) << 16
            archive.writestr(member, content, compresslevel=level)


if __name__ == "__main__":
    main()

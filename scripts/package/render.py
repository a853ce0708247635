#!/usr/bin/env python3
"""render.py FOLDER: writes the install script and Homebrew's formula of the packages in FOLDER, from its SHA256SUMS.

The version and the address of the project are those of Cargo.toml. The formula needs the archives of all four
systems; with fewer, only the script is written, which then knows only these.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TARGETS = [
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "x86_64-unknown-linux-gnu",
]


def main() -> None:
    folder = Path(sys.argv[1])
    package = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    version, repository = package["version"], package["repository"]
    sums = dict(reversed(line.split()) for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    archives = {target: f"backfill-bars-{version}-{target}.tar.gz" for target in TARGETS}
    there = {target: name for target, name in archives.items() if name in sums}
    values = {
        "VERSION": version,
        "DESCRIPTION": package["description"],
        "REPOSITORY": repository,
        "RELEASE": f"{repository}/releases/download/v{version}",
        "SUMS": "\n".join(f"{sums[name]}  {name}" for name in there.values()),
        **{f"SUM {target}": sums[name] for target, name in there.items()},
    }
    write("install.sh", folder, values)
    if len(there) == len(TARGETS):
        write("backfill-bars.rb", folder, values)


def write(name: str, folder: Path, values: dict[str, str]) -> None:
    template = (ROOT / "packaging" / f"{name}.in").read_text(encoding="utf-8")
    text = re.sub(r"@([A-Z]+(?: [a-z0-9_-]+)?)@", lambda match: values[match[1]], template)
    (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

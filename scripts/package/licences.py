#!/usr/bin/env python3
"""Prints the licences of everything that a package contains besides this project's own code.

These are the crates that the program is linked from, with C code that they contain, the Rust standard library,
libduckdb with what it contains, and the page's chart library. A text that several have is printed once. Fails if a
crate has no known licence.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

#: A file with a licence or a notice, by its name.
LICENCE = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)
#: Source files whose names look like those of licences.
SOURCE = re.compile(r"\.(rs|c|h|cc|cpp|hpp|py|toml|json|html|sh|pl|in|m4)$", re.IGNORECASE)
#: Folders of a crate that aren't linked.
UNUSED = {"tests", "test", "benches", "examples", "fuzz", "doc", "docs", "contrib", "programs", "zlibWrapper"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="the target triple")
    parser.add_argument("--notice", action="append", default=[], metavar="NAME=FILE", help="one more licence")
    args = parser.parse_args()

    #: The text, and who has it.
    texts: dict[str, list[str]] = {}

    def add(name: str, text: str) -> None:
        texts.setdefault(normal(text), []).append(name)

    root, crates = linked(args.target)
    lines = []
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        lines.append(f"  {name}: {crate['license'] or 'see its text'}")
        for text in crate_texts(crate, root):
            add(name, text)
    add("Lightweight Charts", (root / "page/vendor/LICENSE-lightweight-charts").read_text())
    for name, text in duckdb_texts(crates):
        add(name, text)
    # The allocator of libduckdb for Linux. The crate's archive lacks it.
    add("libduckdb: jemalloc", (root / "packaging/LICENSE-jemalloc").read_text(encoding="utf-8"))
    for notice in args.notice:
        name, file = notice.split("=", 1)
        add(name, Path(file).read_text(encoding="utf-8"))
    # Its licences are those of this project, which are in the package, too.
    add("Rust standard library", f"Copyright (c) The Rust Project Contributors\n\n{MIT}")

    print("The program backfill contains the crates below, the Rust standard library (MIT OR Apache-2.0), and in its page")
    print("TradingView Lightweight Charts (Apache-2.0). It is linked with libduckdb (MIT), which contains the libraries named")
    print("after it. The texts of their licences follow.\n")
    print("\n".join(lines))
    for text, names in sorted(texts.items(), key=lambda item: item[1][0].lower()):
        print(f"\n{'=' * 100}\n{wrapped(sorted(set(names), key=str.lower))}\n{'-' * 100}\n\n{text}")


def linked(target: str) -> tuple[Path, list[dict]]:
    """The project's folder, and the packages that the program is linked from, without this one, by name."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={target}"]
    data = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    found, open_ids = set(), [root]
    while open_ids:
        for dependency in nodes[open_ids.pop()]["deps"]:
            is_linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_linked and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                open_ids.append(dependency["pkg"])
    crates = [package for package in data["packages"] if package["id"] in found]
    crates.sort(key=lambda package: (package["name"], package["version"]))
    return Path(data["workspace_root"]), crates


def crate_texts(crate: dict, root: Path) -> list[str]:
    """The texts in a crate's folder; if it has none, the common text of one of its licences, with its authors."""
    folder = Path(crate["manifest_path"]).parent
    if root in folder.parents:
        return []  # a folder of this project
    texts = []
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - UNUSED)
        for file in sorted(files):
            if LICENCE.search(file) and not SOURCE.search(file):
                texts.append(Path(path, file).read_text(encoding="utf-8", errors="replace"))
    if texts:
        return texts
    authors = ", ".join(re.sub(r" *<[^>]*>", "", author) for author in crate["authors"]) or f"the authors of {crate['name']}"
    licence = crate["license"] or ""
    if "MIT" in licence:
        return [f"Copyright (c) {authors}\n\n{MIT}"]
    if "Apache-2.0" in licence:
        return [(root / "LICENSE-APACHE").read_text(encoding="utf-8")]
    sys.exit(f"licences: {crate['name']} {crate['version']} has no text, and its licence is {licence or 'unknown'}")


def duckdb_texts(crates: list[dict]) -> list[tuple[str, str]]:
    """Licences of DuckDB and of what it contains: at the head of their sources, which the crate contains as an archive."""
    crate = next(crate for crate in crates if crate["name"] == "libduckdb-sys")
    folder = Path(crate["manifest_path"]).parent
    found: list[tuple[str, str]] = [("libduckdb", DUCKDB + MIT)]
    #: Of each library the longest head of a source file that is a licence.
    heads: dict[str, str] = {}
    libraries = set()
    with tarfile.open(folder / "duckdb.tar.gz") as archive:
        for member in archive:
            match = re.match(r"duckdb/third_party/([^/]+)/.*\.(c|cc|cpp|h|hpp)$", member.name)
            if not match or not member.isfile():
                continue
            library = match[1]
            libraries.add(library)
            source = archive.extractfile(member).read(20_000).decode(errors="replace")
            head = comment(source)
            if re.search(r"copyright|licen[cs]e", head, re.IGNORECASE) and len(head) > len(heads.get(library, "")):
                heads[library] = head
    for library in sorted(libraries):
        other = f"{library}: its sources in DuckDB name no other licence than DuckDB's."
        found.append((f"libduckdb: {library}", heads.get(library, other)))
    # The crate's archive lacks the extension that contains ICU. Its licence is that of the Unicode crates.
    unicode = next(crate for crate in crates if crate["license"] == "Unicode-3.0")
    found.extend(("libduckdb: ICU", text) for text in crate_texts(unicode, folder))
    return found


def comment(source: str) -> str:
    """The comments at the head of a source file, without their marks."""
    lines = []
    in_block = False
    for line in source.splitlines():
        text = line.strip()
        if in_block:
            in_block = "*/" not in text
            lines.append(text.split("*/")[0].lstrip("*").strip())
        elif text.startswith("/*"):
            in_block = "*/" not in text
            lines.append(text[2:].split("*/")[0].lstrip("*!").strip())
        elif text.startswith("//"):
            lines.append(text.lstrip("/!").strip())
        elif text and not text.startswith("#"):
            break
        else:
            lines.append("")
    return "\n".join(lines)


def normal(text: str) -> str:
    """A text without trailing blanks and surrounding empty lines, so that equal ones are found."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def wrapped(names: list[str]) -> str:
    lines = [""]
    for name in names:
        lines[-1] += name
        lines[-1] += ", " if name != names[-1] else ""
        if len(lines[-1]) > 80 and name != names[-1]:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
    return "\n".join(lines)


DUCKDB = "Copyright 2018-2025 Stichting DuckDB Foundation\n\n"

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

if __name__ == "__main__":
    main()

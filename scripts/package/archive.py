#!/usr/bin/env python3
"""archive.py TREE FILE.tar.gz: the tree as an archive.

The same tree gives the same bytes: members are sorted, belong to root, and have the time SOURCE_DATE_EPOCH.
"""

import gzip
import os
import sys
import tarfile
from pathlib import Path


def main() -> None:
    tree, file = Path(sys.argv[1]), sys.argv[2]
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime = epoch
        return member

    with open(file, "wb") as out:
        # The name and the time of the archive itself aren't part of it.
        with gzip.GzipFile("", "wb", compresslevel=9, fileobj=out, mtime=0) as packed:
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
                # `add` takes the members of a folder in the order of their names.
                archive.add(tree, arcname=tree.name, filter=plain)


if __name__ == "__main__":
    main()

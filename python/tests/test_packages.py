"""The scripts that make packages, on a tree whose program and library are small programs of the system."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

SCRIPTS = ROOT / "scripts/package"
TARGET = f"{os.uname().machine}-unknown-linux-gnu"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the small programs are Linux's")


def script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPTS / name, *map(str, arguments)],
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.strip()


def make_tree(folder: Path) -> Path:
    tree = folder / f"backfill-bars-0.1.0-{TARGET}"
    for path, source in {"bin/backfill": "/bin/true", "lib/backfill/libduckdb.so": "/bin/true"}.items():
        (tree / path).parent.mkdir(parents=True)
        shutil.copy(source, tree / path)
    doc = tree / "share/doc/backfill-bars"
    doc.mkdir(parents=True)
    for name in ("LICENSE-MIT", "NOTICE"):
        shutil.copy(ROOT / name, doc)
    return tree


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_same_tree_gives_the_same_bytes(scratch):
    sums = set()
    for name in ("a", "b"):
        tree = make_tree(scratch / name)
        os.utime(tree / "bin/backfill", (1, len(sums)))
        script("archive.py", tree, scratch / name / "tree.tar.gz")
        wheel = script("wheel.py", tree, scratch / name)
        sums.add((digest(scratch / name / "tree.tar.gz"), Path(wheel).name, digest(wheel)))
    assert len(sums) == 1


def test_a_wheel_lists_its_files_and_keeps_the_mode(scratch):
    wheel = script("wheel.py", make_tree(scratch), scratch)
    assert "-py3-none-manylinux_2_" in wheel
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
        listed = [line.split(",")[0] for line in archive.read(record).decode().splitlines()]
        assert listed == archive.namelist()
        modes = {Path(member.filename).name: member.external_attr >> 16 & 0o777 for member in archive.infolist()}
        assert (modes["backfill"], modes["libduckdb.so"], modes["py.typed"]) == (0o755, 0o644, 0o644)


@pytest.fixture
def release(scratch):
    """A folder with the files of a release."""
    folder = scratch / "release"
    name = make_tree(scratch).name
    folder.mkdir()
    script("archive.py", scratch / name, folder / f"{name}.tar.gz")
    (folder / "SHA256SUMS").write_text(f"{digest(folder / f'{name}.tar.gz')}  {name}.tar.gz\n")
    script("render.py", folder)
    return folder


def install(release: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", release / "install.sh", *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(release.parent / "home"), "BACKFILL_RELEASE_URL": release.as_uri()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_install_script_installs_and_replaces(release):
    done = install(release)
    assert done.returncode == 0, done.stderr
    assert "is not in PATH" in done.stdout
    home = release.parent / "home/.local"
    (home / "bin/backfill").write_text("old")
    assert install(release).returncode == 0
    assert (home / "bin/backfill").read_bytes() == Path("/bin/true").read_bytes()
    assert os.access(home / "bin/backfill", os.X_OK)
    assert (home / "lib/backfill/libduckdb.so").exists()
    assert not list(home.rglob("*.new"))
    assert install(release, str(release.parent / "a b")).returncode == 0
    assert (release.parent / "a b/bin/backfill").exists()
    done = install(release, "relative")
    assert f"{Path.cwd()}/relative/bin" in done.stdout


def test_the_install_script_leaves_nothing_where_it_can_t_write(release):
    prefix = release.parent / "prefix"
    prefix.mkdir()
    (prefix / "lib").write_text("a file where a folder must be")
    done = install(release, str(prefix))
    assert done.returncode == 1 and "libduckdb.so could not be written" in done.stderr
    assert [path.name for path in prefix.iterdir()] == ["lib"]
    done = install(release, "--help")
    assert done.returncode == 1 and "usage: sh install.sh [PREFIX]" in done.stderr


def test_a_part_of_the_install_script_does_nothing(release):
    # As `curl … | sh` runs a download that breaks off.
    script = (release / "install.sh").read_bytes()
    home = release.parent / "home"
    last = script.rindex(b"{ main")
    for size in [*range(0, last, 97), *range(last, script.rindex(b"}"))]:
        subprocess.run(
            ["sh"],
            input=script[:size],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), "BACKFILL_RELEASE_URL": release.as_uri()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert not home.exists(), size
    # Piped whole, it installs.
    with (release / "install.sh").open("rb") as file:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "BACKFILL_RELEASE_URL": release.as_uri()}
        subprocess.run(["sh"], stdin=file, env=env, check=True, stdout=subprocess.DEVNULL)
    assert (home / ".local/bin/backfill").exists()


def test_the_install_script_refuses_another_archive(release):
    archive = next(release.glob("*.tar.gz"))
    archive.write_bytes(archive.read_bytes() + b"x")
    done = install(release)
    assert done.returncode == 1 and "nothing was installed" in done.stderr
    assert not (release.parent / "home").exists()
    archive.unlink()
    done = install(release)
    assert done.returncode == 1 and "could not be downloaded" in done.stderr


def test_the_release_uses_pinned_actions():
    workflow = (ROOT / ".github/workflows/release.yml").read_text()
    used = re.findall(r"uses: *(.*)", workflow)
    assert len(used) > 5
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action), action


def test_the_formula_needs_all_systems(release):
    assert not (release / "backfill-bars.rb").exists()
    names = [f"{arch}-{system}" for arch in ("aarch64", "x86_64") for system in ("apple-darwin", "unknown-linux-gnu")]
    sums = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    (release / "SHA256SUMS").write_text("".join(f"{sum}  backfill-bars-0.1.0-{name}.tar.gz\n" for name, sum in sums.items()))
    script("render.py", release)
    formula = (release / "backfill-bars.rb").read_text()
    for name, sum in sums.items():
        address, line = formula.split(f"backfill-bars-0.1.0-{name}.tar.gz\"\n")
        assert line.strip().startswith(f'sha256 "{sum}"')
    assert "@" not in formula

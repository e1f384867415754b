#!/usr/bin/env python3
"""Rules of this repository that no other tool knows. Prints each violation as file:line: rule, and exits 1 if there are any.

  layers      a folder of src/ includes only folders above it (the order below; it is the one of ARCHITECTURE.md)
  outside     clocks, random devices, threads, sockets and processes are reached through runtime/, net/, objects/, metastores/
  asio        no asio::detached (it drops exceptions), no all-of-Asio header in a header
  unfinished  no TODO, FIXME or XXX
  comments    every header begins with what it is for
  promises    the tests that docs/guarantees.md names exist
  readme      every folder of src/ has a README.md and a row in ARCHITECTURE.md
"""
import pathlib
import re
import sys

LAYERS = ["base", "model", "wire", "records", "metrics", "runtime", "net", "metadata", "metastores", "membership", "groups", "objects", "cache", "peers",
          "ingest", "fetch", "upkeep", "server", "handlers", "telemetry", "console", "config", "agent", "cli"]
# Folders that may name the real world.
REAL = {"runtime", "net", "objects", "metastores", "agent", "cli", "config"}
OUTSIDE = [
    (re.compile(r"\b(system_clock|steady_clock|high_resolution_clock)::now\b"), "reads a clock"),
    (re.compile(r"\brandom_device\b"), "draws from a random device"),
    (re.compile(r"\bstd::(thread|jthread|async|mutex|condition_variable)\b"), "uses threads"),
    (re.compile(r"\bsteady_timer\b|\bip::tcp\b"), "uses a real timer or socket"),
    (re.compile(r"\bgetenv\b"), "reads the environment"),
]
INCLUDE = re.compile(r'^\s*#include "([a-z_]+)/')
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def source_files(root):
    for folder in ("src", "oracle", "sim", "bench", "fuzz"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".hpp", ".cc") and path.is_file():
                yield path


def check_file(root, path):
    relative = path.relative_to(root)
    lines = path.read_text(encoding="utf-8").splitlines()
    in_src = relative.parts[0] == "src"
    folder = relative.parts[1] if in_src else None
    is_test = path.name.endswith("_test.cc")
    if path.suffix == ".hpp" and not (lines and lines[0].startswith("//")):
        yield 1, "comments: a header begins with a comment that says what it is for"
    for number, line in enumerate(lines, 1):
        if UNFINISHED.search(line):
            yield number, "unfinished: finish it or leave it out"
        if "asio::detached" in line:
            yield number, "asio: detached drops exceptions; spawn into a task_group"
        if path.suffix == ".hpp" and "<boost/asio.hpp>" in line:
            yield number, "asio: this header costs 2.4 s in every file that includes it"
        if not in_src or is_test:
            continue
        if found := INCLUDE.match(line):
            used = found.group(1)
            if used in LAYERS and folder in LAYERS and folder != "agent" and LAYERS.index(used) > LAYERS.index(folder):
                yield number, f"layers: {folder} must not use {used}, which is below it"
        if folder not in REAL:
            code = line.split("//")[0]
            for pattern, what in OUTSIDE:
                if pattern.search(code):
                    yield number, f"outside: {folder} {what}; go through runtime/ or net/"


def missing_tests(root):
    page = root / "docs/guarantees.md"
    tests = set()
    for path in (root / "src").rglob("*_test.cc"):
        found = re.findall(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", path.read_text(encoding="utf-8"), re.M)
        tests.update(f"{suite}.{name}" for suite, name in found)
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        for name in re.findall(r"`([a-z][a-z0-9_]*\.[a-z0-9]+_[a-z0-9_]+)`", line):
            if name not in tests:
                yield page.relative_to(root), number, f"promises: there is no test {name}"
        for name in re.findall(r"`(tests/[^`]+)`", line):
            if not (root / name).exists():
                yield page.relative_to(root), number, f"promises: there is no {name}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    violations = [(path.relative_to(root), number, text) for path in source_files(root) for number, text in check_file(root, path)]
    violations += missing_tests(root)
    architecture = root / "ARCHITECTURE.md"
    table = architecture.read_text(encoding="utf-8") if architecture.exists() else ""
    for folder in sorted(p for p in (root / "src").iterdir() if p.is_dir()):
        if folder.name not in LAYERS:
            violations.append((folder.relative_to(root), 0, "layers: a new folder needs its place in tools/tidy/tidy.py"))
        if not (folder / "README.md").exists():
            violations.append((folder.relative_to(root), 0, "readme: the folder has no README.md"))
        if f"`{folder.name}/`" not in table:
            violations.append((folder.relative_to(root), 0, "readme: the folder has no row in ARCHITECTURE.md"))
    for path, number, text in violations:
        print(f"{path}:{number}: {text}")
    print(f"tidy: {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())

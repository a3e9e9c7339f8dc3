#!/usr/bin/python3
"""The documentation's programs must compile, link and be free of warnings.

Each C program in man/ (a literal block that defines main) and in README.md (a
```c fence that does) is compiled as C99 and as C++17 into build/examples/ and
linked with build/libwebsock.a; one that includes headers of C++ as C++17 only, and
one that includes websock.hpp (in README.md, a ```cpp fence) as C++20. A ```c fence
without main that begins with #include is only checked for syntax.
Nothing is run here. What the pages say in words is checked by man_test.py.
"""
import os
import pathlib
import re
import shlex
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "build" / "libwebsock.a"
REDIS_LIBRARY = ROOT / "build" / "libwebsock-redis.a"
OUTPUT = ROOT / "build" / "examples"

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
COMMON = WARNINGS + ["-D_POSIX_C_SOURCE=200809L", "-I", str(ROOT)]
LANGUAGES = {
    "c99": shlex.split(os.environ.get("CC", "cc")) + ["-x", "c", "-std=c99"],
    "c++17": shlex.split(os.environ.get("CXX", "c++")) + ["-x", "c++", "-std=c++17"],
}
CXX20 = {"c++20": LANGUAGES["c++17"][:-1] + ["-std=c++20"]}
# After -x none: an archive must not be read as source.
LINK = [str(LIBRARY), "-lssl", "-lcrypto", "-lz", "-lstdc++", "-pthread"]
LINK_REDIS = [str(REDIS_LIBRARY), "-lhiredis"]

# The escapes of mandoc_char(7) that source code in a page may need.
ESCAPES = {
    r"\e": "\\", r"\\": "\\", r"\-": "-", r"\&": "", r"\(aq": "'", r"\(dq": '"',
    r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\(rs": "\\",
}
ESCAPE = re.compile(r"\\\(..|\\.")


def unescape(line):
    return ESCAPE.sub(lambda match: ESCAPES[match.group()], line)


def literal_blocks(page):
    """The text of each .Bd -literal block, as a reader sees it."""
    block = None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith(".Bd ") and "-literal" in line.split():
            block = []
        elif line == ".Ed" and block is not None:
            yield "\n".join(block) + "\n"
            block = None
        elif block is not None:
            if line.startswith((".", "'")):
                raise ValueError(f"{page.name}: a request inside a literal block: {line}")
            block.append(unescape(line))
    if block is not None:
        raise ValueError(f"{page.name}: a literal block without .Ed")


def fences(readme):
    """The text of each ```c and ```cpp fence."""
    return re.findall(r"^```c(?:pp)?\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.M | re.S)


def is_program(text):
    return "main(" in text


def languages_of(source):
    """Headers of the C++ library have no suffix."""
    if "<websock/websock.hpp>" in source:
        return CXX20
    if re.search(r"^#include <\w+>$", source, re.M):
        return {name: LANGUAGES[name] for name in ("c++17",)}
    return LANGUAGES


def run(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)


class Examples(unittest.TestCase):
    """Each page that has a program gets a test below."""

    def build(self, name, source):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        path = OUTPUT / f"{name}.c"
        path.write_text(source, encoding="utf-8")
        self.assertTrue(LIBRARY.exists(), "build/libwebsock.a does not exist: run make first")
        for language, compiler in languages_of(source).items():
            with self.subTest(language=language):
                program = OUTPUT / f"{name}.{language}"
                redis = LINK_REDIS if "<websock/redis.h>" in source else []
                result = run(compiler + COMMON + ["-o", str(program), str(path), "-x", "none"] +
                             redis + LINK)
                self.assertEqual((result.returncode, result.stdout), (0, ""))

    def check_syntax(self, name, source):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        path = OUTPUT / f"{name}.c"
        path.write_text(source, encoding="utf-8")
        for language, compiler in languages_of(source).items():
            with self.subTest(language=language):
                # A fragment may leave unused what it defines.
                result = run(compiler + COMMON + ["-Wno-unused", "-fsyntax-only", str(path)])
                self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_the_manual_has_programs(self):
        self.assertTrue(any(programs_of(page) for page in PAGES))

    def test_every_library_page_has_exactly_one_program(self):
        for page in PAGES:
            if page.suffix == ".3":
                with self.subTest(page=page.name):
                    self.assertEqual(len(programs_of(page)), 1)


PAGES = sorted((ROOT / "man").glob("*.[1357]"))
README = ROOT / "README.md"


def programs_of(page):
    return [block for block in literal_blocks(page) if is_program(block)]


def identifier(name):
    return re.sub(r"\W", "_", name)


def add_test(name, check):
    setattr(Examples, f"test_{identifier(name)}", check)


def add_page(page):
    """Extracts in the test, so that a broken page fails only its own test."""
    def check(self):
        for number, source in enumerate(programs_of(page), 1):
            self.build(f"{identifier(page.name)}_{number}", source)
    add_test(page.name, check)


def add_readme():
    def check(self):
        for number, source in enumerate(fences(README), 1):
            if is_program(source):
                self.build(f"README_{number}", source)
            elif source.startswith("#include"):
                self.check_syntax(f"README_{number}", source)
    add_test(README.name, check)


for each in PAGES:
    if "main(" in each.read_text(encoding="utf-8"):
        add_page(each)
if README.exists():
    add_readme()

if __name__ == "__main__":
    unittest.main()

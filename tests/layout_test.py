#!/usr/bin/python3
"""The folders of src/ are ordered, and stay small.

A file includes only what is in its own folder or in one before it. Each folder opens
with a README.md of a few lines: what lives there, what does not, and which threads
enter. tests/ has the same folders.
"""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
ORDER = ["base", "compression", "protocol", "transport", "dispatch", "timers", "inbox", "outbox", "connection", "topics", "server", "api"]
# Not part of libwebsock.a: they use it as any program does.
BESIDE = {"redis_connection": ["base"], "redis": ["base", "redis_connection"]}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
DECLARED = re.compile(r"^\.Fo libwebsock_(\w+)$", re.M)
DEFINED = re.compile(r"^\w[\w ]*[ *]libwebsock_(\w+)\(", re.M)
FOLDERS = ORDER + list(BESIDE)
README_LINES = 15
FILE_LINES = 350
FOLDER_LINES = 3000


def sources(folder):
    return sorted(path for path in folder.iterdir() if path.suffix in (".h", ".cpp"))


def lines(path):
    return path.read_text(encoding="utf-8").count("\n")


def upward(folder, source, order=None):
    """The includes of a file in this folder that are neither in it nor below it."""
    order = order or ORDER
    below = BESIDE[folder] + [folder] if folder in BESIDE else order[:order.index(folder) + 1]
    return [name for name in INCLUDE.findall(source) if name.split("/")[0] not in below]


class Layout(unittest.TestCase):
    def test_an_include_that_points_up_is_found(self):
        source = '#include "base/fd.h"\n#include "a/a.h"\n  # include "top/x.h"\n#include <b/b.h>\n'
        self.assertEqual(upward("a", source, ["base", "a", "top"]), ["top/x.h"])
        self.assertEqual(upward("base", source, ["base", "a", "top"]), ["a/a.h", "top/x.h"])
        self.assertEqual(upward("base", '#include "fd.h"\n'), ["fd.h"])

    def test_every_folder_has_its_place_in_the_order(self):
        self.assertEqual(sorted(path.name for path in SRC.iterdir() if path.is_dir()),
                         sorted(FOLDERS))
        self.assertEqual([path.name for path in SRC.iterdir() if path.is_file()], ["README.md"])

    def test_no_file_includes_from_a_folder_above_it(self):
        for folder in FOLDERS:
            for path in sources(SRC / folder):
                with self.subTest(file=f"{folder}/{path.name}"):
                    self.assertEqual(upward(folder, path.read_text(encoding="utf-8")), [])

    def test_every_folder_has_a_short_readme(self):
        for folder in FOLDERS:
            with self.subTest(folder=folder):
                self.assertLessEqual(lines(SRC / folder / "README.md"), README_LINES)

    def test_files_and_folders_stay_small(self):
        for folder in FOLDERS:
            sizes = {path.name: lines(path) for path in sources(SRC / folder)}
            with self.subTest(folder=folder):
                self.assertEqual({name: size for name, size in sizes.items() if size > FILE_LINES},
                                 {})
                self.assertLessEqual(sum(sizes.values()), FOLDER_LINES)

    def test_a_file_of_the_api_has_the_functions_of_its_manual_page(self):
        declared = {page.stem.removeprefix("libwebsock_"): set(DECLARED.findall(
            page.read_text(encoding="utf-8"))) for page in (ROOT / "man").glob("libwebsock_*.3")}
        defined = {path.stem: set(DEFINED.findall(path.read_text(encoding="utf-8")))
                   for path in (SRC / "api").glob("*.cpp")}
        redis = (SRC / "redis" / "redis.cpp").read_text(encoding="utf-8")
        defined["use_redis"] = set(DEFINED.findall(redis))
        self.assertEqual(defined, {page: names for page, names in declared.items() if names})

    def test_a_test_is_in_the_folder_of_what_it_tests(self):
        for folder in ORDER[:ORDER.index("server")]: # there it is behaviour over sockets
            for test in sorted((ROOT / "tests" / folder).glob("*_test.cpp")):
                used = {name.split("/")[0] if "/" in name else folder
                        for name in INCLUDE.findall(test.read_text(encoding="utf-8"))}
                with self.subTest(test=test.name):
                    self.assertIn(folder, used)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""The manual is well-formed and complete, and the READMEs' links lead somewhere.

mandoc finds nothing wrong with a page, can render it, and it is named in
libwebsock(7); each function of websock/websock.h has a page, and each field of the
context is described. Further names of a page are .so links in man/man3/. mandoc
calls any .so fragile, so these are linted separately, laid out as they are when
installed. The programs in the pages are up to examples.py.
"""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAN = ROOT / "man"
HEADER = ROOT / "websock" / "websock.h"
REDIS_HEADER = ROOT / "websock" / "redis.h"  # includes the other
PAGES = sorted(MAN.glob("*.[1357]"))
LINKS = sorted((MAN / "man3").glob("*.3"))
READMES = [path for pattern in ("*.md", "*/*.md", "*/*/*.md") for path in sorted(ROOT.glob(pattern))
           if path.relative_to(ROOT).parts[0] != "build"]
LINK_TEXT = re.compile(r"\.so (man3/(libwebsock_\w+\.3))\n")


def mandoc(*arguments, cwd=ROOT):
    return subprocess.run(["mandoc", *arguments], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def render(page, cwd=ROOT):
    """The page as plain text, without the backspaces of bold and underline."""
    result = mandoc("-T", "ascii", str(page), cwd=cwd)
    return result.returncode, re.sub(".\b", "", result.stdout)


def declarations(header=HEADER):
    """A header after the preprocessor, which leaves no comments and no macros."""
    command = shlex.split(os.environ.get("CC", "cc")) + ["-std=c99", "-E", "-P", "-I", str(ROOT),
                                                         str(header)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def functions(header=HEADER):
    return sorted(set(re.findall(r"\b(libwebsock_\w+)\([^*)]", declarations(header))))


def context_fields():
    """Names of the fields: 'int name;', 'void *name;' and 'int (*name)(...);'."""
    body = re.search(r"struct libwebsock_context \{(.*?)\};", declarations(), re.S).group(1)
    fields = []
    for declaration in filter(str.strip, body.split(";")):
        pointer = re.search(r"\(\*(\w+)\)\(", declaration)
        fields.append(pointer.group(1) if pointer else re.search(r"(\w+)\s*$", declaration)[1])
    return fields


def installed_tree(root):
    """Lays out the pages and links of section 3 as an installation does."""
    section = pathlib.Path(root) / "man3"
    section.mkdir()
    for page in PAGES + LINKS:
        if page.suffix == ".3":
            shutil.copy(page, section)


class Pages(unittest.TestCase):
    def test_there_are_pages(self):
        self.assertIn(MAN / "libwebsock.7", PAGES)

    def test_mandoc_has_no_warnings(self):
        for page in PAGES:
            with self.subTest(page=page.name):
                result = mandoc("-T", "lint", "-W", "warning", str(page))
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_every_page_renders_with_a_name(self):
        for page in PAGES:
            with self.subTest(page=page.name):
                status, text = render(page)
                self.assertEqual(status, 0)
                self.assertRegex(text, r"(?m)^NAME$")


class Links(unittest.TestCase):
    def test_every_link_is_one_line_to_a_page_that_exists(self):
        for link in LINKS:
            with self.subTest(link=link.name):
                match = LINK_TEXT.fullmatch(link.read_text(encoding="utf-8"))
                self.assertIsNotNone(match)
                self.assertIn(MAN / match.group(2), PAGES)

    def test_an_installed_link_shows_a_page_that_names_it(self):
        with tempfile.TemporaryDirectory() as root:
            installed_tree(root)
            for link in LINKS:
                with self.subTest(link=link.name):
                    status, text = render(f"man3/{link.name}", cwd=root)
                    self.assertEqual(status, 0)
                    name = re.search(r"(?ms)^NAME$(.*?)^LIBRARY$", text).group(1)
                    self.assertIn(link.stem, re.findall(r"\w+", name))

    def test_mandoc_finds_no_error_in_an_installed_link(self):
        with tempfile.TemporaryDirectory() as root:
            installed_tree(root)
            for link in LINKS:
                with self.subTest(link=link.name):
                    result = mandoc("-T", "lint", "-W", "error", f"man3/{link.name}", cwd=root)
                    self.assertEqual((result.returncode, result.stdout), (0, ""))


class Coverage(unittest.TestCase):
    def test_the_header_is_understood(self):
        self.assertIn("libwebsock_init", functions())
        self.assertIn("libwebsock_version_string", functions())
        self.assertIn("user_data", context_fields())
        self.assertIn("onlog", context_fields())

    def test_every_function_has_a_page(self):
        names = {page.stem for page in PAGES + LINKS if page.suffix == ".3"}
        self.assertEqual([name for name in functions(REDIS_HEADER) if name not in names], [])

    def test_every_page_is_named_in_the_overview(self):
        text = (MAN / "libwebsock.7").read_text(encoding="utf-8")
        pages = text[text.index(".Ss Pages"):]
        named = set(re.findall(r"(?m)^\.It Xr ([\w.]+) (\d)$", pages))
        there = {(page.stem, page.suffix[1:]) for page in PAGES if page.suffix != ".1"}
        self.assertEqual(there - named, {("libwebsock", "7")})
        self.assertEqual(named - there, set())

    def test_every_function_is_in_the_synopsis_of_its_page(self):
        declared = set()
        for page in PAGES:
            declared.update(re.findall(r"(?m)^\.Fo (\w+)$", page.read_text(encoding="utf-8")))
        self.assertEqual(sorted(declared), functions(REDIS_HEADER))

    def test_every_field_of_the_context_is_described(self):
        text = "".join((MAN / f"libwebsock_{name}.3").read_text(encoding="utf-8")
                       for name in ("context", "callbacks"))
        marked = set(re.findall(r"(?m)^\.(?:It )?Va (\w+)", text))
        self.assertEqual([field for field in context_fields() if field not in marked], [])

    def test_every_setting_that_is_a_limit_is_in_the_page_of_limits(self):
        limits = [field for field in context_fields()
                  if field.startswith("max_") or field.endswith(("_ms", "_bytes", "_frames"))]
        self.assertEqual(len(limits), 21)
        text = (MAN / "libwebsock_limits.7").read_text(encoding="utf-8")
        marked = set(re.findall(r"(?m)^\.(?:It )?Va (\w+)", text))
        self.assertEqual([field for field in limits if field not in marked], [])

    def test_every_close_code_is_described(self):
        codes = re.findall(r"(?m)^#define (WS_CLOSE_\w+)", HEADER.read_text(encoding="utf-8"))
        self.assertIn("WS_CLOSE_NORMAL", codes)
        text = (MAN / "libwebsock_close.3").read_text(encoding="utf-8")
        described = set(re.findall(r"(?m)^\.It Dv (\w+) Ta", text))
        self.assertEqual([code for code in codes if code not in described], [])

    def test_every_field_of_the_statistics_is_described(self):
        for header, name, page, known in (
                (HEADER, "statistics", "stats", "closed"),
                (REDIS_HEADER, "redis_statistics", "use_redis", "away_ms")):
            body = re.search(rf"struct libwebsock_{name} \{{(.*?)\}}", declarations(header), re.S)
            fields = re.findall(r"unsigned long long (\w+)", body.group(1))
            self.assertIn(known, fields)
            text = (MAN / f"libwebsock_{page}.3").read_text(encoding="utf-8")
            described = set(re.findall(r"\w+", " ".join(re.findall(r"(?m)^\.It (Va .*)$", text))))
            self.assertEqual([field for field in fields if field not in described], [])


class Readmes(unittest.TestCase):
    def test_every_link_to_a_file_leads_to_one(self):
        self.assertIn(ROOT / "README.md", READMES)
        for readme in READMES:
            for target in re.findall(r"\]\(([^)#:]+)\)", readme.read_text(encoding="utf-8")):
                with self.subTest(readme=str(readme.relative_to(ROOT)), target=target):
                    self.assertTrue((readme.parent / target).exists())


if __name__ == "__main__":
    unittest.main()

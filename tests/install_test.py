#!/usr/bin/python3
"""`make install` puts everything where it belongs, and the installed files are enough.

The installation goes to a temporary directory, by DESTDIR as packagers do it and
by PREFIX as users do. Programs are built from the installed files alone, as pkg-config
or CMake says, and serve a connection; so does a shared object, which exports only the
API. What else the library can do is tested elsewhere.
"""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests" / "interop"))
from deadline import DEADLINE  # noqa: E402
from program import Program  # noqa: E402

BUILD = os.environ.get("BUILD", "build")
CC = shlex.split(os.environ.get("CC", "cc"))
CXX = shlex.split(os.environ.get("CXX", "c++"))

# Set by a make that runs the tests: its options and variables are not for the inner make.
OUTER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OUTER_MAKE}
ENVIRONMENT["LC_ALL"] = "C"

# RFC 6455 1.3 and 5.7: the handshake and frames from its examples.
UPGRADE = (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
MASKED_HELLO = bytes.fromhex("81 85 37fa213d 7f9f4d5158")
HELLO = b"\x81\x05Hello"
MASKED_CLOSE_1000 = bytes.fromhex("88 82 00000000 03e8")
CLOSE_1000 = bytes.fromhex("88 02 03e8")


def run(*command, env=None, cwd=ROOT):
    return subprocess.run([str(word) for word in command], cwd=cwd, env=env or ENVIRONMENT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def files(directory):
    """The paths below it of everything but directories."""
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*")
                  if path.is_symlink() or not path.is_dir())


def expected_files():
    man3 = [page.name for page in [*ROOT.glob("man/*.3"), *ROOT.glob("man/man3/*.3")]]
    man7 = [page.name for page in ROOT.glob("man/*.7")]
    return sorted(["include/websock/websock.h", "include/websock/websock.hpp",
                   "lib/libwebsock.a", "lib/pkgconfig/libwebsock.pc",
                   "include/websock/redis.h", "lib/libwebsock-redis.a",
                   "lib/pkgconfig/libwebsock-redis.pc",
                   "lib/cmake/libwebsock/libwebsock-config.cmake",
                   "lib/cmake/libwebsock/libwebsock-config-version.cmake",
                   *(f"share/man/man3/{name}" for name in man3),
                   *(f"share/man/man7/{name}" for name in man7)])


def header_version():
    header = (ROOT / "websock" / "websock.h").read_text(encoding="utf-8")
    return ".".join(re.search(rf"#define LIBWEBSOCK_VERSION_{part} (\d+)\n", header)[1]
                    for part in ("MAJOR", "MINOR", "PATCH"))


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def make(self, *arguments):
        result = run("make", f"BUILD={BUILD}", *arguments)
        self.assertEqual(result.returncode, 0, result.stdout)


class Staged(Case):
    """As a packager installs: the prefix names where the files will be later."""

    PREFIX = "/opt/x"

    def setUp(self):
        super().setUp()
        self.prefix = self.directory / self.PREFIX[1:]
        self.make_staged("install")

    def make_staged(self, target):
        self.make(target, f"PREFIX={self.PREFIX}", f"DESTDIR={self.directory}")

    def test_exactly_the_header_the_archive_what_finds_them_and_the_pages_are_installed(self):
        self.assertIn("share/man/man3/libwebsock_send_binary.3", expected_files())
        self.assertIn("share/man/man7/libwebsock_limits.7", expected_files())
        self.assertEqual(files(self.prefix), expected_files())
        self.assertEqual(os.listdir(self.directory), [self.PREFIX.split("/")[1]])

    def test_everyone_may_read_the_files_and_none_can_be_run(self):
        for name in files(self.prefix):
            with self.subTest(name=name):
                self.assertEqual((self.prefix / name).stat().st_mode & 0o777, 0o644)

    def test_the_files_are_the_built_ones(self):
        for name, source in (("include/websock/websock.h", ROOT / "websock" / "websock.h"),
                             ("include/websock/websock.hpp", ROOT / "websock" / "websock.hpp"),
                             ("lib/libwebsock.a", ROOT / BUILD / "libwebsock.a")):
            with self.subTest(name=name):
                self.assertEqual((self.prefix / name).read_bytes(), source.read_bytes())

    def test_the_files_for_cmake_name_no_directory(self):
        for path in (self.prefix / "lib/cmake/libwebsock").iterdir():
            text = path.read_text(encoding="utf-8")
            self.assertNotIn(self.PREFIX, text)
            self.assertNotIn("@", text)

    def test_the_pc_file_names_the_prefix_and_not_the_staging_directory(self):
        text = (self.prefix / "lib/pkgconfig/libwebsock.pc").read_text(encoding="utf-8")
        self.assertIn(f"prefix={self.PREFIX}\n", text)
        self.assertNotIn(str(self.directory), text)

    def test_installing_twice_works(self):
        self.make_staged("install")
        self.assertEqual(files(self.prefix), expected_files())

    def test_uninstalling_leaves_no_file_and_no_directory_of_ours(self):
        self.make_staged("uninstall")
        self.assertEqual(files(self.directory), [])
        self.assertFalse((self.prefix / "include" / "websock").exists())
        self.assertFalse((self.prefix / "lib" / "cmake" / "libwebsock").exists())

    def test_uninstalling_leaves_what_is_not_ours(self):
        strangers = ["include/websock/other.h", "lib/libother.a", "share/man/man3/other.3"]
        for name in strangers:
            (self.prefix / name).touch()
        self.make_staged("uninstall")
        self.assertEqual(files(self.prefix), strangers)


class Serving(Case):
    """As a user installs: into the directory where the files are used."""

    def setUp(self):
        super().setUp()
        self.prefix = self.directory / "usr"
        self.make("install", f"PREFIX={self.prefix}", "DESTDIR=")

    def pkg_config(self, *options, package="libwebsock"):
        path = str(self.prefix / "lib" / "pkgconfig")
        result = run("pkg-config", *options, package,
                     env={**ENVIRONMENT, "PKG_CONFIG_PATH": path})
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout.split()

    def source(self, suffix):
        """Runs outside the repository, so that only installed files are found."""
        source = self.directory / f"app{suffix}"
        shutil.copy(ROOT / "demo" / "echo.c", source)
        return source

    def assert_serves(self, *command):
        with Program([*command, "0"]) as server:
            port = server.wait_for_line("stdout", r"ws://127\.0\.0\.1:(\d+)/")[1]
            self.converse(("127.0.0.1", int(port)))
            server.wait_for_line("stdout", "closed, 1000$")

    def converse(self, address):
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(address, DEADLINE))
            answer = stack.enter_context(connection.makefile("rb"))
            connection.sendall(UPGRADE)
            self.assertEqual(answer.readline(), b"HTTP/1.1 101 Switching Protocols\r\n")
            self.assertIn(ACCEPT, list(iter(answer.readline, b"\r\n")))
            connection.sendall(MASKED_HELLO)
            self.assertEqual(answer.read(len(HELLO)), HELLO)
            connection.sendall(MASKED_CLOSE_1000)
            self.assertEqual(answer.read(), CLOSE_1000)  # and then the end


class WithPkgConfig(Serving):
    def build(self, compiler, suffix, *, libs=("--libs",), options=()):
        program = self.directory / "app"
        flags = self.pkg_config("--cflags", *libs)
        result = run(*compiler, *options, self.source(suffix), "-o", program, *flags,
                     cwd=self.directory)
        self.assertEqual(result.returncode, 0, result.stdout)
        return program, result.stdout

    def test_pkg_config_tells_the_version_of_the_header(self):
        self.assertEqual(self.pkg_config("--modversion"), [header_version()])

    def test_a_program_that_uses_redis_links_as_pkg_config_says(self):
        source, program = self.directory / "node.c", self.directory / "node"
        shutil.copy(ROOT / "tests" / "redis" / "node.c", source)
        flags = self.pkg_config("--cflags", "--libs", package="libwebsock-redis")
        result = run(*CC, source, "-o", program, *flags, cwd=self.directory)
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        result = run(program, "127.0.0.1:1")
        self.assertEqual(result.returncode, 2)
        self.assertIn("redis 127.0.0.1:1: Connection refused", result.stdout)

    def test_a_c_program_links_as_pkg_config_says_and_serves(self):
        program, output = self.build(CC, ".c")
        self.assertEqual(output, "")
        self.assert_serves(program)

    def test_a_cxx_program_links_as_pkg_config_says_and_serves(self):
        program, output = self.build(CXX, ".cpp")
        self.assertEqual(output, "")
        self.assert_serves(program)

    def test_a_program_links_with_pkg_config_s_static_too(self):
        program, output = self.build(CC, ".c", libs=("--libs", "--static"))
        self.assertEqual(output, "")
        self.assert_serves(program)

    def test_a_static_c_program_links_serves_and_needs_nothing_at_run_time(self):
        # The linker warns about getaddrinfo, which may load modules; that does not matter
        # here.
        program, _ = self.build(CC, ".c", libs=("--libs", "--static"), options=["-static"])
        dynamic = run("readelf", "--dynamic", "--wide", program)
        self.assertEqual(dynamic.stdout.strip(), "There is no dynamic section in this file.")
        self.assert_serves(program)

    def test_a_shared_object_exports_the_api_alone_and_another_language_serves_with_it(self):
        shared = self.directory / "libplugin.so"
        flags = self.pkg_config("--libs")
        whole = ["-Wl,--whole-archive", self.prefix / "lib/libwebsock.a",
                 "-Wl,--no-whole-archive"]
        result = run(*CC, "-shared", "-Wl,-z,defs", "-o", shared, *whole, *flags)
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        exported = run("nm", "-D", "--defined-only", "--format=just-symbols", shared).stdout
        reviewed = (ROOT / "src" / "api" / "symbols.list").read_text(encoding="utf-8")
        self.assertEqual(exported.split(), reviewed.split())
        self.assert_serves(sys.executable, "-B", ROOT / "tests/interop/ctypes_echo.py", shared)

    def test_man_finds_a_page_by_its_other_names(self):
        """A .so link, which man-db's man and mandoc's follow differently."""
        readers = [name for name in ("man", "mman") if shutil.which(name)]
        self.assertTrue(readers, "neither man nor mman is installed")
        for reader in readers:
            with self.subTest(reader=reader):
                page = run(reader, "-M", self.prefix / "share" / "man", "libwebsock_send_binary")
                self.assertEqual(page.returncode, 0, page.stdout)
                text = re.sub(".\b", "", page.stdout)
                self.assertRegex(text, r"(?m)^SYNOPSIS$")
                self.assertRegex(text, r"libwebsock_send_binary\(")


class WithCMake(Serving):
    """Projects as users write them, in their own directories."""

    PACKAGE = """\
cmake_minimum_required(VERSION 3.13)
project(app {language})
find_package(libwebsock {version} REQUIRED)
add_executable(app {source})
target_link_libraries(app PRIVATE libwebsock::libwebsock)
"""
    MODULE = """\
cmake_minimum_required(VERSION 3.13)
project(app {language})
find_package(PkgConfig REQUIRED)
pkg_check_modules(websock REQUIRED IMPORTED_TARGET libwebsock>={version})
add_executable(app {source})
target_link_libraries(app PRIVATE PkgConfig::websock)
"""

    def configure(self, lists, language="C", version="1.0"):
        source = self.source({"C": ".c", "CXX": ".cpp"}[language])
        text = lists.format(language=language, version=version, source=source.name)
        (self.directory / "CMakeLists.txt").write_text(text, encoding="utf-8")
        return run("cmake", "-S", self.directory, "-B", self.directory / "out",
                   f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def assert_builds_and_serves(self, lists, language):
        for result in (self.configure(lists, language),
                       run("cmake", "--build", self.directory / "out")):
            self.assertEqual(result.returncode, 0, result.stdout)
            self.assertNotIn("warning", result.stdout.lower())
        self.assert_serves(self.directory / "out" / "app")

    def test_find_package_serves_a_c_project(self):
        self.assert_builds_and_serves(self.PACKAGE, "C")

    def test_find_package_serves_a_cxx_project(self):
        self.assert_builds_and_serves(self.PACKAGE, "CXX")

    def test_pkg_check_modules_serves_a_c_project(self):
        self.assert_builds_and_serves(self.MODULE, "C")

    def test_pkg_check_modules_serves_a_cxx_project(self):
        self.assert_builds_and_serves(self.MODULE, "CXX")

    def test_find_package_follows_an_installation_that_was_moved(self):
        moved = self.prefix.rename(self.directory / "moved")
        self.prefix = moved
        self.assert_builds_and_serves(self.PACKAGE, "C")

    def test_find_package_takes_no_later_version_and_no_other_major_one(self):
        for version in ("0.9", "1.999", "2.0"):
            with self.subTest(version=version):
                result = self.configure(self.PACKAGE, version=version)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(f"version: {header_version()}", result.stdout)
                self.assertIn("compatible", result.stdout)


class Incremental(Case):
    def test_a_second_make_has_nothing_to_do(self):
        self.make("all")
        self.make("-q", "all")

    def test_an_installation_rebuilds_nothing(self):
        self.make("all")
        self.make("install", "PREFIX=/opt/x", f"DESTDIR={self.directory}")
        self.make("-q", "all")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/python3
"""The header keeps its promises to a compiler and a linker.

websock/websock.h compiles by itself, in every C and C++ it claims, alongside
libevent's headers and without a warning; its constants are those of RFC 6455; it
declares what libwebsock.a defines, and src/api/symbols.list, the reviewed list of
exports, says the same. websock/websock.hpp compiles as C++20, and has a use for each
function. How the functions behave is tested elsewhere.
"""
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from man_test import REDIS_HEADER, functions  # what the header declares, after the preprocessor

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "websock" / "websock.h"
CXX_HEADER = ROOT / "websock" / "websock.hpp"
LIBRARY = ROOT / os.environ.get("BUILD", "build") / "libwebsock.a"
REDIS_LIBRARY = LIBRARY.with_name("libwebsock-redis.a")
LIBRARIES = ["-lssl", "-lcrypto", "-lz", "-lstdc++", "-pthread"]

WARNINGS = ["-pedantic-errors", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion",
            "-Werror"]
C_COMPILERS, C_STANDARDS = ("gcc", "clang"), ("c99", "c11", "c17")
CXX_COMPILERS, CXX_STANDARDS = ("g++", "clang++"), ("c++11", "c++17", "c++20")
POSIX = "-D_POSIX_C_SOURCE=200809L"

INCLUDE = "#include <websock/websock.h>\n"
MAIN = "int main(void)\n{\n    return 0;\n}\n"

# RFC 6455 5.2 and 11.8.
OPCODES = {"CONTINUE": 0x0, "TEXT": 0x1, "BINARY": 0x2, "CLOSE": 0x8, "PING": 0x9, "PONG": 0xA}
# RFC 6455 7.4.1, in its order, and 1012 to 1014 from the registry of 11.7.
CLOSE_CODES = {
    "NORMAL": 1000, "GOING_AWAY": 1001, "PROTOCOL_ERROR": 1002, "NOT_ALLOWED": 1003,
    "RESERVED": 1004, "NO_CODE": 1005, "DIRTY": 1006, "WRONG_TYPE": 1007,
    "POLICY_VIOLATION": 1008, "MESSAGE_TOO_BIG": 1009, "MANDATORY_EXTENSION": 1010,
    "UNEXPECTED_ERROR": 1011, "SERVICE_RESTART": 1012, "TRY_AGAIN_LATER": 1013,
    "BAD_GATEWAY": 1014, "TLS_HANDSHAKE": 1015,
}
CONSTANTS = {
    **{f"WS_OPCODE_{name}": value for name, value in OPCODES.items()},
    **{f"WS_CLOSE_{name}": value for name, value in CLOSE_CODES.items()},
    "WS_FRAGMENT_FIN": 0x80,  # the first bit of a frame's first byte
}

# A complete program from the documentation; it changes only together with that.
QUICKSTART = """\
#include <websock/websock.h>

static int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    return libwebsock_send_text_with_length(client, msg->payload, msg->payload_len);
}

int main(void)
{
    libwebsock_context *ctx = libwebsock_init(NULL, NULL, 1024);  /* largest frame payload, bytes */
    ctx->onmessage = onmessage;
    libwebsock_bind(ctx, "0.0.0.0", "1234");
    return libwebsock_wait(ctx) == -1;
}
"""

USE_OF_LIBEVENT_S_SOCKET = """\
int serve(libwebsock_context *ctx, evutil_socket_t fd);
int serve(libwebsock_context *ctx, evutil_socket_t fd)
{
    return libwebsock_bind_socket(ctx, fd);
}
"""


# Functions that websock.hpp does not call, and why.
NOT_IN_CXX = {
    "libwebsock_after": "libwebsock_start_timer does that",
    "libwebsock_bind_ssl": "libwebsock_bind_tls does that",
    "libwebsock_bind_ssl_real": "libwebsock_bind_tls does that",
    "libwebsock_close": "libwebsock_close_with_reason does that",
    "libwebsock_every": "libwebsock_start_timer does that",
    "libwebsock_post": "libwebsock_post_with does that",
    "libwebsock_publish_text": "libwebsock_publish does that",
    "libwebsock_send_text": "libwebsock_send_text_with_length does that",
    "libwebsock_use_backplane": "for other libraries; Server::context() is there for it",
    "libwebsock_deliver": "for other libraries; Server::context() is there for it",
}


def run(command, source=None):
    return subprocess.run(command, input=source, cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def languages():
    """The command of each compiler and standard, reading a program from stdin."""
    for compiler in C_COMPILERS:
        for standard in C_STANDARDS:
            yield [compiler, f"-std={standard}", "-Wstrict-prototypes", *WARNINGS, "-x", "c"]
    for compiler in CXX_COMPILERS:
        for standard in CXX_STANDARDS:
            yield [compiler, f"-std={standard}", *WARNINGS, "-x", "c++"]


class Case(unittest.TestCase):
    def assert_silent(self, result):
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertEqual(result.stdout, "")

    def assert_compiles(self, source, *options):
        for language in languages():
            with self.subTest(language=language[:2]):
                self.assert_silent(run([*language, *options, "-fsyntax-only", "-I.", "-"], source))


class Compiling(Case):
    def test_it_compiles_alone_without_a_feature_macro(self):
        self.assert_compiles(INCLUDE + MAIN)

    def test_it_compiles_alone_with_the_macro_of_posix(self):
        self.assert_compiles(INCLUDE + MAIN, POSIX)

    def test_it_may_be_included_twice(self):
        self.assert_compiles(INCLUDE + INCLUDE + MAIN)

    def test_it_compiles_before_libevent_s_header_and_takes_its_socket(self):
        source = INCLUDE + "#include <event2/util.h>\n" + USE_OF_LIBEVENT_S_SOCKET
        self.assert_compiles(source, POSIX)

    def test_it_compiles_after_libevent_s_header_and_takes_its_socket(self):
        source = "#include <event2/util.h>\n" + INCLUDE + USE_OF_LIBEVENT_S_SOCKET
        self.assert_compiles(source, POSIX)

    def test_it_includes_nothing_but_stddef_and_sockets(self):
        included = re.findall(r"(?m)^\s*#\s*include\s*(\S+)", HEADER.read_text(encoding="utf-8"))
        self.assertEqual(included, ["<stddef.h>", "<sys/socket.h>"])

    def test_the_header_for_redis_compiles_alone_too_and_needs_no_header_of_others(self):
        self.assert_compiles("#include <websock/redis.h>\n" + MAIN)
        included = re.findall(r"(?m)^\s*#\s*include\s*(\S+)",
                              REDIS_HEADER.read_text(encoding="utf-8"))
        self.assertEqual(included, ["<stddef.h>", "<websock/websock.h>"])


class Cxx(Case):
    """websock.hpp"""

    def compilers(self):
        for compiler in CXX_COMPILERS:
            with self.subTest(compiler=compiler):
                yield [compiler, "-std=c++20", *WARNINGS, "-I."]

    def test_it_compiles_alone_without_a_warning(self):
        source = "#include <websock/websock.hpp>\n" * 2 + MAIN
        for compiler in self.compilers():
            self.assert_silent(run([*compiler, "-fsyntax-only", "-x", "c++", "-"], source))

    def test_two_files_of_a_program_may_include_it(self):
        other = ("#include <websock/websock.hpp>\n"
                 "std::string_view other() { return websock::version(); }\n")
        main = ("#include <websock/websock.hpp>\n"
                "std::string_view other();\n"
                "int main() { return other() == websock::version() ? 0 : 1; }\n")
        with tempfile.TemporaryDirectory() as directory:
            files = [pathlib.Path(directory) / name for name in ("main.cpp", "other.cpp")]
            for file, source in zip(files, (main, other)):
                file.write_text(source, encoding="utf-8")
            program = pathlib.Path(directory) / "program"
            for compiler in self.compilers():
                self.assert_silent(run([*compiler, "-o", program, *files, LIBRARY, *LIBRARIES]))
                self.assert_silent(run([program]))

    def test_it_has_a_use_for_each_function_but_those_that_are_not_needed(self):
        text = CXX_HEADER.read_text(encoding="utf-8")
        code = re.sub(r"//.*", "", text)
        missing = [name for name in functions() if not re.search(rf"\b{name}\b", code)]
        self.assertEqual(missing, sorted(NOT_IN_CXX))

    def test_everything_it_defines_is_in_a_namespace_of_its_own(self):
        text = CXX_HEADER.read_text(encoding="utf-8")
        before = text[:text.index("namespace websock {")]
        self.assertEqual(set(re.findall(r"(?m)^#define (\w+)", text)), {"WEBSOCK_WEBSOCK_HPP"})
        self.assertNotRegex(before, r"(?m)^(inline|class|struct|using|template)")


class Constants(Case):
    def test_each_has_the_value_of_the_rfc(self):
        checks = "".join(f"#if {name} != {value}\n#error {name} is not {value}\n#endif\n"
                         for name, value in CONSTANTS.items())
        self.assert_compiles(INCLUDE + checks + MAIN)

    def test_all_are_known_to_this_test(self):
        defined = re.findall(r"(?m)^#define (WS_\w+)", HEADER.read_text(encoding="utf-8"))
        self.assertEqual(sorted(defined), sorted(CONSTANTS))


class Example(Case):
    def test_the_quickstart_is_the_documented_program_after_a_comment(self):
        text = (ROOT / "demo" / "quickstart.c").read_text(encoding="utf-8")
        comment, program = re.fullmatch(r"(/\*.*?\*/\n)(.*)", text, re.S).groups()
        self.assertNotIn("#include", comment)
        self.assertEqual(program, QUICKSTART)

    def test_it_compiles_without_a_warning(self):
        self.assert_compiles(QUICKSTART)


class Linking(Case):
    def test_every_function_links_in_c_and_in_cxx(self):
        self.assertTrue(LIBRARY.exists(), f"{LIBRARY} does not exist: run make first")
        for language in languages():
            if language[1] in ("-std=c99", "-std=c++11"):
                with self.subTest(language=language[:2]):
                    self.link_and_run(language)

    def link_and_run(self, language):
        """The program reads each address, so that no compiler leaves one out."""
        names = functions()
        table = ",\n".join(f"    (function){name}" for name in names)
        source = (f"{INCLUDE}typedef void (*function)(void);\n"
                  f"static const volatile function all[] = {{\n{table}\n}};\n"
                  "int main(void)\n{\n    size_t i, found = 0;\n"
                  f"    for (i = 0; i < {len(names)}; i++) {{\n"
                  "        found += all[i] != NULL;\n    }\n"
                  f"    return found == {len(names)} ? 0 : 1;\n}}\n")
        with tempfile.TemporaryDirectory() as directory:
            program = pathlib.Path(directory) / "program"
            # -x applies to what follows it: the archive must not be read as source.
            self.assert_silent(run([*language, "-I.", "-o", str(program), "-", "-x", "none",
                                    str(LIBRARY), *LIBRARIES], source))
            self.assert_silent(run([str(program)]))


def symbols(library=LIBRARY):
    """Each global symbol that an archive defines, according to nm."""
    command = ["nm", "-g", "--defined-only", "--format=posix", str(library)]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return sorted(line.split()[0] for line in listing.splitlines() if not line.endswith(":"))


class Symbols(unittest.TestCase):
    def test_the_reviewed_list_is_what_the_header_declares(self):
        self.assertEqual(self.reviewed(), functions())

    def test_the_archive_defines_each_function_of_the_list_once_and_nothing_else(self):
        self.assertEqual(symbols(), self.reviewed())

    def test_so_it_is_with_the_archive_for_redis(self):
        reviewed = self.reviewed("redis")
        self.assertEqual(reviewed, sorted(set(functions(REDIS_HEADER)) - set(functions())))
        self.assertEqual(symbols(REDIS_LIBRARY), reviewed)

    def reviewed(self, folder="api"):
        return (ROOT / "src" / folder / "symbols.list").read_text(encoding="utf-8").split("\n")[:-1]


if __name__ == "__main__":
    unittest.main()

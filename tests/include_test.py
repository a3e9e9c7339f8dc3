#!/usr/bin/python3
"""Each file of src/ and tests/ includes the headers of the names that it uses.

A precompiled header hides when one is missing, so the compiler does not say it. A header
may come from a header of this project, but not from a system header that happens to include
it: those differ between systems. RULES says which names come from where; every header that is
precompiled must have a rule, and so must every name that begins with std::.
"""
import errno
import functools
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ["src", "tests"]
PRECOMPILED = ["precompiled.h", "precompiled_src.h"]
SEARCHED = [ROOT, ROOT / "src"]  # as the compiler does, after the folder of the file

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"].*', re.M)
# A quote after a digit separates digits.
IGNORED = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
                     r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
# With what stands in front: "std::" or nothing are meant, not members or other namespaces.
NAME = re.compile(r"(?:std::|::|\.|->)?[A-Za-z_]\w*")
C_HEADER = re.compile(r"^(assert|ctype|errno|limits|signal|stdarg|stddef|stdint|stdio|stdlib|string"
                      r"|time)\.h$")

# Names of the C library that nothing else has, so they count without "std::", too.
STDIO = """fprintf snprintf vsnprintf vfprintf vprintf sscanf fscanf fopen fdopen fclose fflush
    fread fwrite fputs fputc fgets fgetc perror setvbuf tmpfile fileno popen pclose FILE stdin
    stdout stderr EOF"""
STRING = """memcpy memmove memset memcmp memchr strlen strcmp strncmp strchr strrchr strstr strerror
    strpbrk strspn strcspn strtok strcpy strncpy strcat"""
STDLIB = """malloc calloc realloc getenv atexit strtol strtoul strtoll strtoull strtod atoi atol
    EXIT_SUCCESS EXIT_FAILURE"""
INTEGERS = [f"{sign}int{kind}{bits}_t" for sign in ("", "u") for kind in ("", "_least", "_fast")
            for bits in (8, 16, 32, 64)]
LIMITS = [f"{sign}{bits}_{end}" for sign in ("INT", "UINT") for bits in (8, 16, 32, 64)
          for end in ("MIN", "MAX")]


def std(names):
    return {f"std::{name}" for name in names.split()}


def c(names):
    return {name for plain in names.split() for name in (plain, f"std::{plain}")}


# header: the names that come from it. A name may have more than one header that the standard
# says it comes from.
RULES = {
    "algorithm": std("""adjacent_find all_of any_of binary_search clamp copy copy_backward copy_if
        copy_n count count_if equal equal_range fill fill_n find find_end find_first_of find_if
        find_if_not for_each for_each_n generate generate_n includes inplace_merge is_sorted
        lexicographical_compare lower_bound make_heap max max_element merge min min_element minmax
        minmax_element mismatch move_backward next_permutation none_of nth_element partial_sort
        partition partition_point pop_heap prev_permutation push_heap remove_copy remove_if
        replace replace_if reverse rotate sample search set_difference set_intersection set_union
        shuffle sort sort_heap stable_partition stable_sort swap_ranges transform unique
        unique_copy upper_bound"""),
    "array": std("array to_array"),
    "atomic": std("""atomic atomic_bool atomic_flag atomic_int atomic_ref atomic_signal_fence
        atomic_thread_fence memory_order memory_order_acq_rel memory_order_acquire
        memory_order_relaxed memory_order_release memory_order_seq_cst"""),
    "bit": std("bit_cast bit_ceil bit_floor bit_width countl_zero countr_zero endian has_single_bit"
               " popcount rotl rotr"),
    "cctype": std("isalnum isalpha isdigit isprint isspace isupper isxdigit tolower toupper"),
    "cerrno": {name for name in dir(errno) if re.fullmatch("E[A-Z0-9]+", name)} | {"errno"},
    "charconv": std("chars_format from_chars from_chars_result to_chars to_chars_result"),
    "chrono": std("chrono chrono_literals"),
    "clocale": std("setlocale"),
    "condition_variable": std("condition_variable condition_variable_any cv_status"),
    "csignal": std("raise signal"),
    "cstddef": c("size_t ptrdiff_t max_align_t") | std("byte nullptr_t") | {"offsetof"},
    "cstdint": c(" ".join(INTEGERS + ["intptr_t", "uintptr_t", "intmax_t", "uintmax_t"]))
               | set(LIMITS) | {"SIZE_MAX", "UINTPTR_MAX"},
    "cstdio": c(STDIO) | std("printf putchar puts remove rename scanf"),
    "cstdlib": c(STDLIB) | std("_Exit abort exit free"),
    "cstring": c(STRING),
    "deque": std("deque"),
    "doctest/doctest.h": set("""CAPTURE CHECK CHECK_EQ CHECK_FALSE CHECK_MESSAGE CHECK_NOTHROW
        CHECK_THROWS CHECK_THROWS_AS CHECK_THROWS_WITH CHECK_THROWS_WITH_AS FAIL FAIL_CHECK INFO
        MESSAGE REQUIRE REQUIRE_EQ REQUIRE_FALSE REQUIRE_MESSAGE REQUIRE_NOTHROW REQUIRE_THROWS
        REQUIRE_THROWS_AS SUBCASE TEST_CASE TEST_SUITE WARN doctest""".split()),
    "exception": std("current_exception exception exception_ptr rethrow_exception terminate"
                     " uncaught_exceptions"),
    "filesystem": std("filesystem"),
    "fstream": std("fstream ifstream ofstream"),
    "functional": std("bind equal_to function greater hash invoke less mem_fn plus ref cref"
                      " reference_wrapper"),
    "future": std("async future future_error future_status launch packaged_task promise"
                  " shared_future"),
    "initializer_list": std("initializer_list"),
    "ios": std("ios"),
    "iterator": std("advance back_inserter begin cbegin cend data distance empty end"
                    " istream_iterator istreambuf_iterator next prev rbegin rend reverse_iterator"
                    " size ssize"),
    "limits": std("numeric_limits"),
    "list": std("list"),
    "map": std("map multimap"),
    "memory": std("""addressof align allocate_shared allocator construct_at default_delete
        destroy_at destroy_n enable_shared_from_this make_shared make_unique
        make_unique_for_overwrite shared_ptr static_pointer_cast to_address uninitialized_copy
        unique_ptr weak_ptr"""),
    "mutex": std("adopt_lock call_once defer_lock lock lock_guard mutex once_flag recursive_mutex"
                 " scoped_lock timed_mutex try_to_lock unique_lock"),
    "new": std("align_val_t bad_alloc bad_array_new_length get_new_handler launder new_handler"
               " nothrow nothrow_t set_new_handler"),
    "numeric": std("accumulate iota reduce"),
    "openssl/ssl.h": {"SSL", "TLS_method", "TLS_client_method", "TLS_server_method"},
    "optional": std("make_optional nullopt nullopt_t optional"),
    "random": std("mt19937 mt19937_64 random_device uniform_int_distribution"
                  " uniform_real_distribution"),
    "ranges": std("ranges"),
    "set": std("set multiset"),
    "shared_mutex": std("shared_lock shared_mutex"),
    "span": std("as_bytes as_writable_bytes dynamic_extent span"),
    "sstream": std("istringstream ostringstream stringstream"),
    "stdexcept": std("domain_error invalid_argument length_error logic_error out_of_range"
                     " overflow_error range_error runtime_error"),
    "stop_token": std("stop_callback stop_source stop_token"),
    "string": std("basic_string char_traits getline literals stod stoi stol stoll stoul stoull"
                  " string string_literals to_string"),
    "string_view": std("basic_string_view string_view string_view_literals"),
    "system_error": std("errc error_category error_code generic_category make_error_code"
                        " system_category system_error"),
    "thread": std("jthread this_thread thread"),
    "typeinfo": std("bad_cast bad_typeid type_info"),
    "unordered_map": std("unordered_map unordered_multimap"),
    "unordered_set": std("unordered_multiset unordered_set"),
    "utility": std("as_const declval exchange forward in_place in_place_t integer_sequence"
                   " make_index_sequence make_pair move pair swap unreachable"),
    "variant": std("get_if holds_alternative monostate variant visit"),
    "vector": std("erase erase_if vector"),
}
PREFIXES = {"SSL_": "openssl/ssl.h"}

CONTAINERS = {"array", "deque", "list", "map", "set", "span", "string", "string_view",
              "unordered_map", "unordered_set", "vector"}
# name: the headers that bring it, too. Either the standard says so, or they could not do without
# (a std::map is one of pairs; std::runtime_error is a std::exception).
ALSO = {
    "std::swap": CONTAINERS | {"memory", "optional"},
    "std::pair": {"map", "unordered_map"},
    "std::hash": CONTAINERS - {"array", "deque", "list", "map", "set", "span"} | {"memory"},
    "std::initializer_list": CONTAINERS | {"utility"},
    "std::in_place": {"optional", "variant"},
    "std::errc": {"charconv"},
    "std::exception": {"future", "new", "stdexcept", "system_error", "filesystem"},
    "std::char_traits": {"string_view"},
    "std::stop_token": {"thread"},
    "std::error_code": {"filesystem"},
    "std::ios": {"fstream", "iostream", "sstream"},
    "std::literals": {"chrono", "string_view"},
    "std::ranges": {"algorithm"},
}
ALSO |= {name: CONTAINERS for name in std("begin cbegin cend data empty end erase erase_if rbegin"
                                          " rend size ssize")}
ALSO |= {name: CONTAINERS | {"cstdio", "cstdlib", "cstring", "ctime", "memory", "new"}
         for name in c("size_t")}

# name: the header to include, then those that bring it, too
HEADERS = {name: [header, *ALSO.get(name, ())] for header, names in RULES.items()
           for name in names}


def names_in(text):
    return set(NAME.findall(IGNORED.sub(" ", INCLUDE.sub("", text))))


def headers_for(name):
    for prefix, header in PREFIXES.items():
        if name.startswith(prefix):
            return [header]
    return HEADERS.get(name, [])


def included(text):
    """The names of headers as C++ calls them: cstdio for stdio.h."""
    return {C_HEADER.sub(r"c\1", name) for name in INCLUDE.findall(text)}


def missing(text, brought=()):
    """Names that the text uses without their header; brought are those it gets from others."""
    there = included(text) | set(brought)
    return {name: headers[0] for name in sorted(names_in(text))
            if (headers := headers_for(name)) and there.isdisjoint(headers)}


@functools.cache
def text_of(path):
    return path.read_text(encoding="utf-8")


@functools.cache
def project_headers(path):
    folders = [path.parent, *SEARCHED]
    found = (next((folder / name for folder in folders if (folder / name).is_file()), None)
             for name in INCLUDE.findall(text_of(path)))
    return tuple(header for header in found if header)


@functools.cache
def reached(path):
    """The project's headers that the file includes, and those that these include."""
    seen = set()
    to_see = list(project_headers(path))
    while to_see:
        header = to_see.pop()
        if header not in seen:
            seen.add(header)
            to_see += project_headers(header)
    return seen


@functools.cache
def included_by(path):
    return included(text_of(path))


def brought_to(path):
    return set().union(*map(included_by, reached(path)))


def sources():
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
                  if path.suffix in (".h", ".cpp"))


class Includes(unittest.TestCase):
    def test_a_missing_header_is_found(self):
        self.assertEqual(missing("std::vector<int> numbers;"), {"std::vector": "vector"})
        self.assertEqual(missing("if (errno == EAGAIN) SSL_free(ssl);"),
                         {"EAGAIN": "cerrno", "SSL_free": "openssl/ssl.h", "errno": "cerrno"})
        self.assertEqual(missing("#include <string>\nstd::string_view s = std::to_string(1);"),
                         {"std::string_view": "string_view"})

    def test_a_header_that_is_included_or_brought_is_not_missing(self):
        self.assertEqual(missing("# include <stdio.h> // puts\nstd::puts(text);"), {})
        self.assertEqual(missing("size_t n;", ["cstring"]), {})
        self.assertEqual(missing("std::vector<int> v;", ["vector"]), {})

    def test_only_the_names_themselves_count(self):
        self.assertEqual(missing('// std::vector\n/* errno,\nerrno */ f("a\\"errno", \'"\');\n'
                                 'g(R"(" std::map ")"); int a = 1\'000, b = \'s\';'), {})
        self.assertEqual(missing("a.free(); a->free(); other::free(); my_errno = std_string;"), {})

    def test_what_follows_an_ignored_part_counts(self):
        self.assertEqual(missing("f(1'000'000, \"//\", 'x', errno);"), {"errno": "cerrno"})

    def test_headers_of_the_project_bring_theirs(self):
        header = ROOT / "tests" / "support" / "server.h"
        self.assertIn(ROOT / "websock" / "websock.h", reached(header))
        self.assertLessEqual({"cstddef", "openssl/ssl.h"}, brought_to(header))

    def test_every_precompiled_header_has_a_rule(self):
        for name in PRECOMPILED:
            for header in sorted(included(text_of(ROOT / "tests" / "support" / name))):
                with self.subTest(file=name, header=header):
                    self.assertIn(header, RULES)

    def test_every_name_of_the_standard_library_has_a_rule(self):
        used = set().union(*(names_in(text_of(path)) for path in sources()))
        self.assertEqual([name for name in sorted(used)
                          if name.startswith("std::") and not headers_for(name)], [])

    def test_every_file_includes_what_it_uses(self):
        for path in sources():
            for name, header in missing(text_of(path), brought_to(path)).items():
                with self.subTest(file=str(path.relative_to(ROOT)), name=name):
                    self.fail(f"{name} without #include <{header}>")


if __name__ == "__main__":
    unittest.main()

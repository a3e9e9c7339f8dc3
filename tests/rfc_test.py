#!/usr/bin/python3
"""Each MUST of a standard is carried out by a line of code and tested by a test.

tests/conformance/rfc6455.txt lists the sentences and explains its format; the lists of other
RFCs stand next to it. The line that carries out or tests a sentence has a comment
that quotes it:
    // RFC 6455 5.1: "A server MUST NOT mask any frames that it sends to the client."
The quote is word for word; "..." stands for what is left out. The summary is also in
tests/conformance/README.md. Run as a program it also prints the sentences that still await
their lines.
"""
import collections
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "conformance"
README = FOLDER / "README.md"
README_LINES = 40
COMMENT = {".cpp": "//", ".h": "//", ".c": "//", ".py": "#"}
KEYWORD = re.compile(r"\b(MUST|SHALL|REQUIRED|must)\b")
KEYS = ("concerns", "excused", "departs", "awaits")

# A comment that looks like a quote; it must have the form below.
MEANT = re.compile(r'\bRFC\W*\d+\W+(?:section\W+)?\d+(?:\.\d+)*\W*"', re.I)
FORM = re.compile(r' RFC (\d+) (\d+(?:\.\d+)*): "(.+)"')

Sentence = collections.namedtuple("Sentence", ("rfc", "section", "text") + KEYS)
Quote = collections.namedtuple("Quote", "place side rfc section text")  # side: "code" or "test"


def paragraphs(text):
    """The lines without comments; a line indented by four is joined to the previous one."""
    joined = []
    for line in text.splitlines():
        if line.startswith("    ") and joined:
            joined[-1] += " " + line.strip()
        elif line.strip() and not line.startswith("#"):
            joined.append(line.rstrip())
    return joined


def sentences_in(rfc, text):
    found = []
    for line in paragraphs(text):
        key = re.fullmatch(r"  (\w+): (.+)", line)
        entry = re.fullmatch(r"(\d+(?:\.\d+)*): (.+)", line)
        if key and key[1] in KEYS and found and getattr(found[-1], key[1]) is None:
            found[-1] = found[-1]._replace(**{key[1]: key[2]})
        elif entry and KEYWORD.search(entry[2]):
            found.append(Sentence(rfc, entry[1], entry[2], *[None] * len(KEYS)))
        else:
            raise ValueError(f"RFC {rfc}: neither an entry nor a key: {line}")
    return found


def quotes_in(place, side, text, mark):
    """The quotes in a file, and comments that look like quotes but lack the form."""
    quotes, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        _, found, comment = line.partition(mark)
        if not found or not MEANT.search(comment):
            continue
        form = FORM.fullmatch(comment)
        if form:
            quotes.append(Quote(f"{place}:{number}", side, *form.groups()))
        else:
            problems.append(f"{place}:{number}: not in the form: {line.strip()}")
    return quotes, problems


def is_from(quote, sentence):
    """Whether the quote is the whole sentence, except for what "..." stands for."""
    pieces = [re.escape(piece.strip()) for piece in quote.text.split("...")]
    return ((quote.rfc, quote.section) == (sentence.rfc, sentence.section)
            and re.fullmatch(".*".join(pieces), sentence.text) is not None)


def name_of(sentence):
    return f"RFC {sentence.rfc} {sentence.section}: {sentence.text}"


def judge(sentences, quotes):
    """The problems, and for each sentence the sides that quote it."""
    sides = {sentence: set() for sentence in sentences}
    problems = []
    for quote in quotes:
        quoted = [sentence for sentence in sentences if is_from(quote, sentence)]
        if not KEYWORD.search(quote.text):
            problems.append(f"{quote.place}: the quote has no MUST")
        elif len(quoted) != 1:
            problems.append(f"{quote.place}: {len(quoted)} sentences of RFC {quote.rfc} "
                            f"{quote.section} are like this: {quote.text}")
        else:
            sides[quoted[0]].add(quote.side)
    for sentence, found in sides.items():
        name = name_of(sentence)
        if sentence.awaits:
            continue
        if sentence.concerns or sentence.excused:
            if found == {"code", "test"} or (found and sentence.concerns):
                problems.append(f"has lines after all: {name}")
            continue
        problems += [f"no line of {side}: {name}" for side in ("code", "test") if side not in found]
    return problems, sides


def waiting(sides):
    """The sentences that await lines, and what each has already."""
    return [f"{name_of(sentence)} ({', '.join(sorted(found)) or 'nothing'} so far)"
            for sentence, found in sides.items() if sentence.awaits]


def count(sides):
    """Counts of the sentences that bind a server: all, with code, with a test, excused. Those
    that await lines do not count, whatever they have already.
    """
    ours = [(sentence, found) for sentence, found in sides.items()
            if not sentence.concerns and not sentence.awaits]
    return (len(ours), sum("code" in found for _, found in ours),
            sum("test" in found for _, found in ours),
            sum(sentence.excused is not None for sentence, _ in ours))


def table(sides):
    """The summary as in README.md: a row for each chapter of each RFC, and the total."""
    chapters = collections.defaultdict(dict)
    for sentence, found in sides.items():
        chapters[f"RFC {sentence.rfc}, {sentence.section.split('.')[0]}"][sentence] = found
    rows = ["| Section | Sentences | With code | With a test | Excused |", "|---|--:|--:|--:|--:|"]
    for chapter, part in chapters.items():
        if count(part)[0] > 0:
            rows.append("| " + " | ".join(map(str, (chapter,) + count(part))) + " |")
    return "\n".join(rows + ["", summary(sides)])


def summary(sides):
    text = "{} sentences, {} with code, {} with a test, {} excused".format(*count(sides))
    return text + (f"; {len(waiting(sides))} more await lines" if waiting(sides) else "")


def lists():
    return {path.stem.removeprefix("rfc"): path.read_text(encoding="utf-8")
            for path in sorted(FOLDER.glob("rfc*.txt"))}


def everything():
    sentences = [sentence for rfc, text in lists().items() for sentence in sentences_in(rfc, text)]
    quotes, problems = [], []
    for side, folder in (("code", "src"), ("test", "tests")):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in COMMENT and path != pathlib.Path(__file__).resolve():
                more, wrong = quotes_in(str(path.relative_to(ROOT)), side,
                                        path.read_text(encoding="utf-8"), COMMENT[path.suffix])
                quotes += more
                problems += wrong
    wrong, sides = judge(sentences, quotes)
    return problems + wrong, sides


LIST = """
# A comment.
1.2: An endpoint MUST
    be kind.
1.2: A server MUST NOT shout, "ever", at a client.
  departs: when it is
    on fire
3: A client MUST wait.
  concerns: client
3: A server MUST sing.
  excused: nobody listens
"""


class Parser(unittest.TestCase):
    """Finds what is wrong, with a made-up RFC."""

    def judged(self, source, side="code", text=LIST):
        quotes, problems = quotes_in("a.cpp", side, source, "//")
        wrong, sides = judge(sentences_in("7", text), quotes)
        return problems + wrong, sides

    def complete(self, side):
        return self.judged('// RFC 7 1.2: "An endpoint MUST be kind."\n'
                           'f(); // RFC 7 1.2: "... MUST NOT shout, "ever", ..."\n', side)[0]

    def test_a_list_is_read(self):
        first, second, third, fourth = sentences_in("7", LIST)
        self.assertEqual(first[:3], ("7", "1.2", "An endpoint MUST be kind."))
        self.assertEqual(set(first[3:]), {None})
        self.assertEqual(second.departs, "when it is on fire")
        self.assertEqual((third.section, third.concerns), ("3", "client"))
        self.assertEqual(fourth.excused, "nobody listens")

    def test_an_invalid_list_is_refused(self):
        for text in ("1.2: A server is kind.\n", "  concerns: client\n", "MUST\n",
                     "3: It MUST.\n  because: so\n", "3: It MUST.\n  excused: a\n  excused: b\n"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                sentences_in("7", text)

    def test_a_sentence_without_a_line_is_found(self):
        problems, _ = self.judged('// RFC 7 1.2: "An endpoint MUST be kind."')
        self.assertEqual(problems, [
            "no line of test: RFC 7 1.2: An endpoint MUST be kind.",
            'no line of code: RFC 7 1.2: A server MUST NOT shout, "ever", at a client.',
            'no line of test: RFC 7 1.2: A server MUST NOT shout, "ever", at a client.'])

    def test_a_line_counts_only_for_its_own_side(self):
        for side, other in (("code", "test"), ("test", "code")):
            problems = self.complete(side)
            self.assertEqual(len(problems), 2)
            for problem in problems:
                self.assertTrue(problem.startswith(f"no line of {other}: "))

    def test_with_all_its_lines_nothing_is_wrong(self):
        both = [quote for side in ("code", "test") for quote in quotes_in(
            "a", side, '// RFC 7 1.2: "... MUST be kind."\n// RFC 7 1.2: "A server MUST NOT ..."',
            "//")[0]]
        problems, sides = judge(sentences_in("7", LIST), both)
        self.assertEqual(problems, [])
        self.assertEqual(summary(sides), "3 sentences, 2 with code, 2 with a test, 1 excused")

    def test_a_quote_that_is_not_word_for_word_is_found(self):
        for text in ("An endpoint MUST be knid.", "An endpoint MUST be kind", "MUST be kind.",
                     "An endpoint MUST", "... MUST ...", "A client MUST wait.", "... kind. MUST"):
            with self.subTest(text=text):
                self.assertIn("sentences of RFC 7 1.2 are like this",
                              self.judged(f'// RFC 7 1.2: "{text}"')[0][0])
        self.assertIn("has no MUST", self.judged('// RFC 7 1.2: "An endpoint ..."')[0][0])

    def test_a_quote_of_another_section_or_rfc_is_found(self):
        for name in ("RFC 7 1.3", "RFC 7 1", "RFC 8 1.2"):
            problems, _ = self.judged(f'// {name}: "An endpoint MUST be kind."')
            self.assertIn("0 sentences", problems[0])

    def test_a_comment_in_the_wrong_form_is_found(self):
        for comment in ('// RFC 7, 1.2: "It MUST."', '// RFC 7 1.2 "It MUST."',
                        '// RFC 7 section 1.2: "It MUST."', '//  RFC 7 1.2: "It MUST."',
                        '// RFC 7 1.2: "It MUST', '// see RFC 7 1.2: "It MUST."',
                        '// RFC 7 1.2: "It MUST." or so'):
            with self.subTest(comment=comment):
                self.assertIn("not in the form", self.judged(comment)[0][0])
        self.assertEqual(quotes_in("a", "code", "// RFC 7 1.2: what it says", "//"), ([], []))
        self.assertEqual(quotes_in("a", "code", '"// RFC 7" "1.2"; # RFC 7 1.2: "x"', "//")[0], [])

    def test_an_excused_sentence_or_one_for_clients_has_no_lines(self):
        problems, _ = self.judged('// RFC 7 3: "A client MUST wait."')
        self.assertIn("has lines after all: RFC 7 3: A client MUST wait.", problems)
        both = [Quote("a", side, "7", "3", "A server MUST sing.") for side in ("code", "test")]
        self.assertIn("has lines after all: RFC 7 3: A server MUST sing.",
                      judge(sentences_in("7", LIST), both)[0])

    def test_a_sentence_that_awaits_lines_is_listed_and_no_problem(self):
        text = "1: It MUST.\n  awaits: code\n"
        for source, has in (("", "nothing"), ('// RFC 7 1: "It MUST."', "code")):
            problems, sides = self.judged(source, text=text)
            self.assertEqual(problems, [])
            self.assertEqual(waiting(sides), [f"RFC 7 1: It MUST. ({has} so far)"])
            self.assertEqual(summary(sides), "0 sentences, 0 with code, 0 with a test, 0 excused; "
                             "1 more await lines")
        self.assertEqual(len(self.judged('// RFC 7 1: "It MUST not."', text=text)[0]), 1)

    def test_the_table_has_a_row_for_each_chapter(self):
        self.assertEqual(table(self.judged("")[1]).splitlines()[2:],
                         ["| RFC 7, 1 | 2 | 0 | 0 | 0 |", "| RFC 7, 3 | 1 | 0 | 0 | 1 |",
                          "", "3 sentences, 0 with code, 0 with a test, 1 excused"])


class Sentences(unittest.TestCase):
    def test_each_sentence_has_its_lines_and_each_quote_its_sentence(self):
        problems, _ = everything()
        self.assertEqual(problems, [], "\n" + "\n".join(problems))

    def test_no_sentence_is_listed_twice(self):
        for rfc, text in lists().items():
            names = [sentence[:3] for sentence in sentences_in(rfc, text)]
            self.assertEqual(len(names), len(set(names)))

    def test_the_readme_has_the_summary(self):
        text = README.read_text(encoding="utf-8")
        self.assertLessEqual(text.count("\n"), README_LINES)
        wanted = table(everything()[1])
        self.assertIn(wanted, text, "\n" + wanted)


if __name__ == "__main__":
    results = everything()[1]
    print("\n".join([summary(results)] + waiting(results)))
    unittest.main()

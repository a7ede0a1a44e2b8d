"""Test reports as tools write them and as attackers do, and what two runs say together."""

import contextlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits import testruns
from audits.testruns import Limits, Outcome, ReportError, Result, Skipped


def junit(*cases: str) -> bytes:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


def read(data: bytes, limits: Limits | None = None) -> list[Result | Skipped]:
    return list(testruns.read_junit(io.BytesIO(data), limits or Limits()))


def case(
    body: str = "", classname: str = "tests.test_a.TestB", name: str = "test_c", time: str = "0.25"
) -> str:
    return f'<testcase classname="{classname}" name="{name}" time="{time}">{body}</testcase>'


NAME = "tests.test_a.TestB::test_c"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", Result(NAME, Outcome.PASSED, seconds=0.25)),
        (
            "<failure message=\"AttributeError: type object has no attribute 'RUN'\">E  x</failure>",
            Result(
                NAME,
                Outcome.FAILED,
                "call",
                "AttributeError",
                "AttributeError: type object has no attribute 'RUN'",
                0.25,
            ),
        ),
        (
            '<error message="failed on setup with &quot;TypeError: missing argument&quot;">E  TypeError</error>',
            Result(NAME, Outcome.ERROR, "setup", "TypeError", "TypeError: missing argument", 0.25),
        ),
        (
            '<error message="failed on teardown with &quot;OSError: gone&quot;"/>',
            Result(NAME, Outcome.ERROR, "teardown", "OSError", "OSError: gone", 0.25),
        ),
        (
            '<skipped type="pytest.skip" message="no browser"/>',
            Result(NAME, Outcome.SKIPPED, "call", "skip", "no browser", 0.25),
        ),
        (
            '<skipped type="pytest.xfail" message="known"/>',
            Result(NAME, Outcome.XFAILED, "call", "xfail", "known", 0.25),
        ),
        (
            '<failure message="[XPASS(strict)] known"/>',
            Result(NAME, Outcome.XPASSED, "call", "", "[XPASS(strict)] known", 0.25),
        ),
        (
            '<failure message="assert 1 == 2"/>',
            Result(NAME, Outcome.FAILED, "call", "AssertionError", "assert 1 == 2", 0.25),
        ),
    ],
)
def test_outcomes_of_pytest(body: str, expected: Result) -> None:
    assert read(junit(case(body))) == [expected]


def test_collection_error_is_no_failure_of_a_test() -> None:
    body = '<error message="collection failure">ImportError while importing\nE   ImportError: no such name</error>'
    (found,) = read(junit(case(body, classname="", name="tests.unit.test_a")))
    assert isinstance(found, Result)
    assert (found.test, found.outcome, found.phase, found.reason) == (
        "tests.unit.test_a",
        Outcome.ERROR,
        "collection",
        "ImportError",
    )


def test_windows_paths_and_nameless_cases() -> None:
    found = read(junit(case(classname=r"tests\unit\test_a"), '<testcase classname="x" time="1"/>'))
    assert found[0] == Result("tests.unit.test_a::test_c", Outcome.PASSED, seconds=0.25)
    assert isinstance(found[1], Skipped) and "without a name" in found[1].why and found[1].line == 1


def test_same_name_twice_is_kept_with_its_ordinal() -> None:
    found = read(junit(case(), case("<failure message='x'/>")))
    assert [(r.test, r.ordinal) for r in found if isinstance(r, Result)] == [(NAME, 0), (NAME, 1)]
    assert testruns.latest(r for r in found if isinstance(r, Result))[NAME].outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("1,234.5", 1234.5), ("0", 0.0), ("NaN", None), ("-1", None), ("1e400", None), ("x", None)],
)
def test_times_that_are_none_are_named(time: str, seconds: float | None) -> None:
    found = read(junit(case(time=time)))
    assert isinstance(found[-1], Result) and found[-1].seconds == seconds
    assert [type(f) for f in found[:-1]] == ([Skipped] if seconds is None else [])


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    b'<testsuite><testcase name="&b;"/></testsuite>'
)
OUTSIDE = (
    b'<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>'
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LAUGHS, "DTD"),
        (OUTSIDE, "DTD"),
        (b'<!DOCTYPE t SYSTEM "http://127.0.0.1:1/x.dtd"><testsuite/>', "DTD"),
        (b"", "empty"),
        (b"<testsuites><testsuite><testcase", "not well-formed"),
        (b"<html><body>Sign in</body></html>", "no JUnit report"),
        (b"not xml", "not well-formed"),
        (b"<testsuite>\x00</testsuite>", "not well-formed"),
        (b"<testsuite><testcase name='\x01'/></testsuite>", "not well-formed"),
        (b"<?xml version='1.0' encoding='utf-99'?><testsuite/>", "encoding"),
        (b"<?xml version='1.0' encoding='utf-8'?><testsuite name='\xe9'/>", "not well-formed"),
        (b"<testsuite>" + b"<x>" * 60 + b"</x>" * 60 + b"</testsuite>", "nested deeper"),
    ],
)
def test_bad_reports_are_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        read(data)


def test_utf16_is_read() -> None:
    data = '<?xml version="1.0" encoding="utf-16"?><testsuite><testcase classname="a" name="b"/></testsuite>'.encode(
        "utf-16"
    )
    assert read(data) == [Result("a::b", Outcome.PASSED)]


def test_limits_are_named() -> None:
    with pytest.raises(ReportError, match="more than 2 test cases"):
        read(junit(*[case(name=f"t{n}") for n in range(3)]), Limits(cases=2))
    with pytest.raises(ReportError, match="more than 100 bytes"):
        read(junit(case()), Limits(size=100))


def test_reports_without_tests_are_empty_runs() -> None:
    assert read(b'<testsuites><testsuite name="pytest" tests="0"/></testsuites>') == []


class _Endless(io.RawIOBase):
    """A report of so many cases, never in memory as a whole."""

    def __init__(self, cases: int) -> None:
        self.pieces: Iterator[bytes] = self._pieces(cases)

    def _pieces(self, cases: int) -> Iterator[bytes]:
        yield b"<testsuite>"
        for start in range(0, cases, 500):
            yield b"".join(
                case("x" * 50, name=f"test_{n}").encode() for n in range(start, min(start + 500, cases))
            )
        yield b"</testsuite>"

    def read(self, size: int = -1) -> bytes:
        return next(self.pieces, b"")


@pytest.mark.long
def test_memory_does_not_grow_with_the_report() -> None:
    tracemalloc.start()
    try:
        count = sum(1 for _ in testruns.read_junit(_Endless(100_000), Limits(size=10**9)))  # type: ignore[arg-type]
        _current, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 32 * 1024 * 1024


def report(*tests: dict[str, object], **others: object) -> io.BytesIO:
    return io.BytesIO(json.dumps({"created": 1.0, "tests": tests, **others}).encode())


def stage(outcome: str = "passed", message: str = "") -> dict[str, object]:
    return {"outcome": outcome, "duration": 0.5, **({"crash": {"message": message}} if message else {})}


def test_json_report_gives_the_same_names_and_reasons_as_junit() -> None:
    found = list(
        testruns.read_json_report(
            report(
                {
                    "nodeid": "tests/test_a.py::TestB::test_c",
                    "outcome": "passed",
                    "setup": stage(),
                    "call": stage(),
                },
                {
                    "nodeid": "tests/test_a.py::TestB::test_d[x::y/z.py]",
                    "outcome": "error",
                    "setup": stage("failed", "TypeError: missing"),
                },
                {"nodeid": "tests/test_a.py::test_e", "outcome": "exploded"},
                collectors=[
                    {"nodeid": "tests/test_b.py", "outcome": "failed", "longrepr": "x\nE   ImportError: no"},
                    {"nodeid": "tests", "outcome": "passed"},
                ],
            )
        )
    )
    assert found == [
        Result("tests.test_b", Outcome.ERROR, "collection", "ImportError", "E   ImportError: no"),
        Result(NAME, Outcome.PASSED, seconds=1.0),
        Result(
            "tests.test_a.TestB::test_d[x::y/z.py]",
            Outcome.ERROR,
            "setup",
            "TypeError",
            "TypeError: missing",
            0.5,
        ),
        Skipped("tests/test_a.py::test_e", "the outcome 'exploded' of test 3 is unknown", 0),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "no pytest-json-report"),
        (b"{}", "neither tests nor collectors"),
        (b'{"tests": [{"nodeid": 3}]}', "no pytest-json-report"),
        (b"[" * 100_000, "not valid JSON|no pytest-json-report"),
        (b'{"tests": [' + b"9" * 5_000 + b"]}", "not valid JSON|no pytest-json-report"),
        (b"\xff\xfe{", "not valid JSON"),
    ],
)
def test_bad_json_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ReportError, match=words):
        list(testruns.read_json_report(io.BytesIO(data)))


def runs(**outcomes: tuple[str, str]) -> tuple[dict[str, Result], dict[str, Result]]:
    make: Callable[[str, str], Result] = lambda name, code: Result(  # noqa: E731
        name, Outcome(code.split(":")[0]), reason=code.partition(":")[2]
    )
    return (
        {name: make(name, codes[0]) for name, codes in outcomes.items() if codes[0]},
        {name: make(name, codes[1]) for name, codes in outcomes.items() if codes[1]},
    )


def test_comparison_names_what_happened_to_each_test() -> None:
    before, after = runs(
        a=("passed", "passed"),
        b=("failed:KeyError", "passed"),
        c=("passed", "error:OSError"),
        d=("failed:KeyError", "failed:KeyError"),
        e=("failed:KeyError", "failed:TypeError"),
        f=("", "failed:KeyError"),
        g=("passed", ""),
        h=("passed", "skipped"),
    )
    found = testruns.compare(before, after)
    names = {kind: [c.test for c in getattr(found, kind)] for kind in found.__dataclass_fields__}
    assert names == {
        "fixed": ["b"],
        "broken": ["c"],
        "same_reason": ["d"],
        "other_reason": ["e"],
        "new": ["f"],
        "vanished": ["g"],
        "silenced": ["h"],
        "flaky": [],
        "slower": [],
    }
    assert found.has_regressions


def test_flaky_tests_neither_break_nor_are_fixed_where_they_were_flaky() -> None:
    before, after = runs(
        already=("passed", "failed"),
        newly=("passed", "failed"),
        hardly=("failed", "passed"),
        really=("failed", "passed"),
        quietly=("passed", "passed"),
    )
    found = testruns.compare(
        before,
        after,
        flaky_before={"already", "really"},
        flaky_after={"newly", "hardly", "quietly"},
    )
    assert [c.test for c in found.flaky] == ["already", "hardly", "newly", "quietly", "really"]
    assert [c.test for c in found.broken] == ["newly"]
    assert [c.test for c in found.fixed] == ["really"]


def test_a_test_that_failed_and_passed_in_one_report_ended_both_ways() -> None:
    rows = [
        Result("a", Outcome.FAILED),
        Result("a", Outcome.PASSED, ordinal=1),
        Result("b", Outcome.PASSED),
        Result("b", Outcome.SKIPPED, ordinal=1),
        Result("c", Outcome.ERROR),
    ]
    assert testruns.ended_both_ways(rows) == {"a"}


def test_zero_regressions_needs_every_test_that_passed() -> None:
    before, after = runs(a=("passed", "passed"), b=("failed", "passed"), c=("failed", ""), d=("", "failed"))
    assert not testruns.compare(before, after).has_regressions
    for lost in ("", "skipped", "failed"):
        assert testruns.compare(*runs(a=("passed", lost))).has_regressions


def test_tests_of_renamed_files_are_the_same_tests() -> None:
    before = {"tests.old.TestA::test_b": Result("tests.old.TestA::test_b", Outcome.PASSED)}
    after = {"tests.new.TestA::test_b": Result("tests.new.TestA::test_b", Outcome.FAILED)}
    found = testruns.compare(before, after, {"tests.old": "tests.new"})
    assert (
        [c.test for c in found.broken] == ["tests.new.TestA::test_b"] and not found.new and not found.vanished
    )


def test_slower_needs_a_second_and_twice_the_time() -> None:
    def found(was: float, now: float) -> int:
        before, after = Result("a", Outcome.PASSED, seconds=was), Result("a", Outcome.PASSED, seconds=now)
        return len(testruns.compare({"a": before}, {"a": after}).slower)

    assert (found(1, 2), found(1, 1.9), found(0.1, 0.9), found(5, 7)) == (1, 0, 0, 0)


names = st.sampled_from("abcdef")
results = st.dictionaries(
    names, st.builds(Result, names, st.sampled_from(Outcome), reason=st.sampled_from(["", "KeyError"]))
)


@given(results, results)
def test_every_test_is_in_at_most_one_list_and_changes_are_real(
    before: dict[str, Result], after: dict[str, Result]
) -> None:
    found = testruns.compare(before, after)
    kinds = [k for k in found.__dataclass_fields__ if k != "slower"]
    listed = [change.test for kind in kinds for change in getattr(found, kind)]
    assert len(listed) == len(set(listed))
    assert {c.test for c in found.new} == after.keys() - before.keys()
    assert {c.test for c in found.vanished} == before.keys() - after.keys()
    assert not testruns.compare(before, before).has_regressions


markup = st.sampled_from(
    [
        *(
            "<testsuites>",
            "<testsuite>",
            '<testcase name="a" classname="b" time="1e400">',
            "<failure message='",
            "'>",
        ),
        *(
            "</testcase>",
            "</testsuite>",
            "</testsuites>",
            "<!DOCTYPE x>",
            "<?xml version='1.0' encoding='utf-7'?>",
        ),
        *("&x;", "&#0;", "&#xD800;", "<![CDATA[", "]]>", "\x00", "\ufeff", "/>", "<system-out>"),
        *(
            '{"tests": [',
            '{"nodeid": "a::b", "outcome": "failed",',
            '"call": {"crash": {',
            "}",
            "]",
            "1e999",
            "\\ud800",
        ),
    ]
)


@given(
    st.lists(markup | st.text(max_size=6, alphabet=st.characters(codec="utf-8")), max_size=12)
    .map("".join)
    .map(str.encode)
    | st.binary(max_size=60)
)
def test_any_bytes_are_results_or_an_error_that_says_why(data: bytes) -> None:
    for reader in (testruns.read_junit, testruns.read_json_report):
        with contextlib.suppress(ReportError):
            list(reader(io.BytesIO(data), Limits()))

"""Parsing in children that may die: each poison ends in its own file's finding or problem, all others are reported."""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pygit2
import pytest

from audits.engine import native_extraction, parsing
from audits.engine.facts import decode
from audits.engine.findings import ProblemKind, Report
from audits.engine.frames import Outcome
from audits.engine.git import GitRepository
from audits.engine.parsing import ParsePool, ParserUnavailableError
from audits.engine.policy import parse_policy
from audits.engine.run import audit
from tests.samples import commit_tree, init_repository

GOOD = {"good_a.py": "from good_b import gone\n", "good_b.py": "x = 1\n"}
EXPECTED = ("unresolved-import", "good_b.gone")

# Name: (bytes, the finding's rule, or the problem's kind).
POISON: dict[str, tuple[bytes, str]] = {
    "ten thousand minus signs": (b"-" * 10_000 + b"1", "too-complex"),
    "deep brackets in calls": (b"f(" * 150 + b")" * 150, ""),
    "a long sum": (b"x = " + b"1 + " * 20_000 + b"1", "too-complex"),
    "a long chain of attributes": (b"x" + b".y" * 20_000, "too-complex"),
    "a long chain of elif": (b"if x: pass\n" + b"elif x: pass\n" * 5_000, "too-complex"),
    "deep lambdas": (b"lambda: " * 5_000 + b"1", "too-complex"),
    "a megabyte of assignments": (b"x=1\n" * 262_144, "too-large"),
    "NUL bytes": (b"x = 1\0\n", "unparseable"),
    "only NUL bytes": (b"\0" * 1_000, "unparseable"),
    "an unknown encoding": (b"# coding: no-such\nx = 1\n", "unparseable"),
    "an encoding that is no text": (b"# coding: zlib\nx = 1\n", "unparseable"),
    "a byte order mark": (b"\xef\xbb\xbfx = 1\n", ""),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfx = 1\n", "unparseable"),
    "UTF-16": ("x = 1\n".encode("utf-16"), "unparseable"),
    "Latin-1 without a cookie": (b"x = '\xe9'\n", "unparseable"),
    "Latin-1 with a cookie": (b"# coding: latin-1\nx = '\xe9'\n", ""),
    "a lone surrogate": (b"x = '\xed\xa0\x80'\n", "unparseable"),
    "an escaped lone surrogate": (b"x = '\\ud800'\n__all__ = ['\\udfff']\nE['\\ud800']\n", ""),
    "five thousand digits": (b"x = " + b"9" * 5_000, "unparseable"),
    "a hundred and one indents": (
        b"".join(b" " * n + b"if x:\n" for n in range(101)) + b" " * 101 + b"pass\n",
        "unparseable",
    ),
    "a hundred thousand brackets": (b"(" * 100_000, "unparseable"),
    "a large pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "not-text"),
    "a template": (b"{% if x %}\nimport y\n{% endif %}\n", "not-text"),
    "random bytes": (bytes(range(256)) * 10, "unparseable"),
    "nothing": (b"", ""),
}


class MemoryStore(dict[str, bytes]):
    def known(self, blob_shas: object) -> set[str]:
        return set(self)

    def get_many(self, blob_shas: object) -> dict[str, bytes]:
        return dict(self)

    def put_many(self, facts: Mapping[str, bytes]) -> None:
        self.update(facts)


def make(folder: Path, files: Mapping[str, str | bytes]) -> GitRepository:
    path = init_repository(folder / "r.git", bare=True)
    commit_tree(path, files, "m", 0, [])
    return GitRepository(path)


def report_of(repository: GitRepository, policy: str = "", store: MemoryStore | None = None) -> Report:
    known = MemoryStore() if store is None else store
    return audit(repository, repository.resolve(), parse_policy(policy), known, workers=1)


def test_every_poison_ends_in_its_own_finding_or_problem(tmp_path: Path) -> None:
    files = {f"{name}.py": data for name, (data, _) in POISON.items()}
    report = report_of(make(tmp_path, {**files, **GOOD}))
    seen = dict.fromkeys(files, "")
    for finding in report.findings:
        if finding.path in seen:
            seen[finding.path] = finding.rule
    for problem in report.problems:
        seen[problem.path] = problem.kind
        assert problem.message
    assert seen == {f"{name}.py": expected for name, (_, expected) in POISON.items()}
    assert EXPECTED in [(f.rule, f.subject) for f in report.findings]


@pytest.mark.parametrize("name", ["ten thousand minus signs", "NUL bytes", "a long sum"])
def test_a_poison_alone_is_reported_too(name: str, tmp_path: Path) -> None:
    data, expected = POISON[name]
    report = report_of(make(tmp_path, {"poison.py": data}))
    assert [*(f.rule for f in report.findings), *(p.kind for p in report.problems)] == [expected]


def test_problems_are_not_remembered_as_facts(tmp_path: Path) -> None:
    repository = make(tmp_path, {"poison.py": POISON["ten thousand minus signs"][0], **GOOD})
    store = MemoryStore()
    first = report_of(repository, store=store)
    assert len(store) == len(GOOD)
    assert report_of(repository, store=store) == first


def test_damaged_facts_in_the_store_are_made_anew(tmp_path: Path) -> None:
    repository = make(tmp_path, GOOD)
    store = MemoryStore()
    first = report_of(repository, store=store)
    for sha in store:
        store[sha] = b"damaged"
    assert report_of(repository, store=store) == first


def test_a_limit_of_the_policy_is_named(tmp_path: Path) -> None:
    report = report_of(make(tmp_path, GOOD), "version = 1\n[limits]\nfile_bytes = 10\n")
    (problem,) = [p for p in report.problems if p.path == "good_a.py"]
    assert (problem.kind, problem.message) == (
        ProblemKind.TOO_LARGE,
        "24 bytes; the limit is 10 (policy: limits.file_bytes)",
    )


# --- the native extractor's machine code --------------------------------------------------------------------------


@pytest.fixture
def blind_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child that could not compile the native extractor, and fails for each blob when it has none."""
    script = tmp_path / "child.py"
    script.write_text(
        "import os, sys\n"
        "sys.path.insert(0, os.getcwd())\n"
        "from pathlib import Path\n"
        "from audits.engine import native_extraction, parse_child\n"
        "native_extraction.MODULE = Path('/nowhere')\n"
        "original = parse_child.parse\n"
        "def parse(repository, sha, file_bytes, native):\n"
        "    assert native is not None\n"
        "    return original(repository, sha, file_bytes, native)\n"
        "parse_child.parse = parse\n"
        "parse_child.main()\n"
    )
    monkeypatch.setattr(parsing, "CHILD", (str(script),))


def problems(repository: GitRepository) -> list[str]:
    """What was in the way of parsing each file; with a process for each."""
    blobs = [entry.sha for entry in repository.tree(repository.resolve().sha)]
    with ParsePool(repository.path, file_bytes=10**6, file_seconds=600, workers=len(blobs)) as pool:
        return [outcome.problem for outcomes in pool.parse(blobs) for outcome in outcomes]


@pytest.mark.usefixtures("blind_child")
def test_children_are_given_what_they_would_compile(tmp_path: Path) -> None:
    assert problems(make(tmp_path, {"a.py": "x = 1\n", "b.py": "y = 2\n"})) == ["", ""]


def test_where_nothing_can_be_compiled_for_them_children_see_to_themselves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def cannot() -> bytes:
        raise OSError("no room")

    monkeypatch.setattr(native_extraction, "compiled", cannot)
    parsing._code_file.cache_clear()
    found = problems(make(tmp_path, {"a.py": "x = 1\n"}))
    parsing._code_file.cache_clear()
    assert found == [""]


# --- children that die or hang ------------------------------------------------------------------------------------


def use_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    """Runs a child that does something first for each blob, then what the real one does."""
    script = tmp_path / "child.py"
    script.write_text(
        "import os, resource, signal, sys, time\n"
        "sys.path.insert(0, os.getcwd())\n"
        "from audits.engine import parse_child\n"
        "original = parse_child.parse\n"
        "parsed = []\n"
        "def parse(repository, sha, file_bytes, native):\n"
        "    data = repository.blob(sha) or b''\n"
        "    parsed.append(sha)\n"
        f"    {code}\n"
        "    return original(repository, sha, file_bytes, native)\n"
        "parse_child.parse = parse\n"
        "parse_child.main()\n"
    )
    monkeypatch.setattr(parsing, "CHILD", (str(script),))


def shas_of(repository: GitRepository) -> dict[str, str]:
    return {e.sha: e.path for e in repository.tree(repository.resolve().sha)}


def outcomes(repository: GitRepository, *, seconds: int = 30, workers: int = 2) -> dict[str, Outcome]:
    shas = shas_of(repository)
    with ParsePool(repository.path, file_bytes=100_000, file_seconds=seconds, workers=workers) as pool:
        found = [outcome for batch in pool.parse(list(shas)) for outcome in batch]
    assert sorted(o.sha for o in found) == sorted(shas), "each blob exactly once"
    return {shas[o.sha]: o for o in found}


@pytest.mark.parametrize(
    "death",
    [
        "if b'deadly' in data: os.kill(os.getpid(), signal.SIGKILL)",
        "if b'deadly' in data: os.kill(os.getpid(), signal.SIGSEGV)",
        "if b'deadly' in data: os._exit(3)",
        "if b'deadly' in data: raise MemoryError",
        "if b'deadly' in data: raise ValueError('a bug')",
        "if b'deadly' in data: os.close(1); os.closerange(3, 100); time.sleep(60)",
    ],
)
def test_what_kills_its_child_is_found_and_costs_nobody_else(
    death: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {f"f{n}.py": f"x = {n}\n" for n in range(40)} | {
        "bad.py": "deadly = 1\n",
        "b2.py": "deadly = 2\n",
    }
    use_child(monkeypatch, tmp_path, death)
    found = outcomes(make(tmp_path, files))
    bad = {path for path, o in found.items() if o.problem}
    assert bad == {"bad.py", "b2.py"}
    assert {found[path].problem for path in bad} == {ProblemKind.TOO_COMPLEX}
    assert all(decode(o.facts) for path, o in found.items() if path not in bad)


def test_a_file_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {"a.py": "x = 1\n", "slow.py": "slow = 1\n", "z.py": "x = 2\n"}
    use_child(monkeypatch, tmp_path, "if b'slow' in data: time.sleep(600)")
    found = outcomes(make(tmp_path, files), seconds=4)
    assert {path for path, o in found.items() if o.problem} == {"slow.py"}
    assert "more than 4 s" in found["slow.py"].words


def test_a_child_worn_out_by_others_is_replaced_before_a_file_is_blamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {f"f{n}.py": f"x = {n}\n" for n in range(60)}
    use_child(monkeypatch, tmp_path, "if len(parsed) > 30: raise MemoryError")
    assert not any(o.problem for o in outcomes(make(tmp_path, files), workers=1).values())


def test_children_that_cannot_start_are_nobodys_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(parsing, "CHILD", ("-c", "raise SystemExit(1)"))
    repository = make(tmp_path, GOOD)
    with (
        pytest.raises(ParserUnavailableError),
        ParsePool(repository.path, file_bytes=1, file_seconds=1, workers=2) as pool,
    ):
        list(pool.parse(list(shas_of(repository))))


def test_leaving_the_pool_kills_its_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    use_child(monkeypatch, tmp_path, f"open(f'{pids}/{{os.getpid()}}', 'w').close(); time.sleep(600)")
    repository = make(tmp_path, {f"f{n}.py": f"x = {n}\n" for n in range(60)})
    with ParsePool(repository.path, file_bytes=1_000, file_seconds=300, workers=2) as pool:
        threading.Thread(target=lambda: next(pool.parse(list(shas_of(repository)))), daemon=True).start()
        deadline = time.monotonic() + 300
        while len(os.listdir(pids)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert len(os.listdir(pids)) == 2
    for pid in os.listdir(pids):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), signal.SIG_DFL)


def test_a_child_has_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://user:secret@host/db")
    monkeypatch.setenv("SECRET_KEY", "secret")
    seen = tmp_path / "seen"
    monkeypatch.setattr(
        parsing,
        "CHILD",
        ("-c", f"import os; open({str(seen)!r}, 'w').write(repr(sorted(os.environ)))"),
    )
    repository = make(tmp_path, GOOD)
    with (
        pytest.raises(ParserUnavailableError),
        ParsePool(repository.path, file_bytes=1, file_seconds=1, workers=1) as pool,
    ):
        list(pool.parse(list(shas_of(repository))))
    assert set(eval(seen.read_text())) <= {"LANG", "LC_CTYPE", "PATH"}  # noqa: S307


def test_what_a_library_prints_does_not_disturb_the_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_child(monkeypatch, tmp_path, "print('hello'); os.write(1, b'x' * 100_000); sys.stdout.flush()")
    assert not any(o.problem for o in outcomes(make(tmp_path, GOOD)).values())


def test_no_blobs_need_no_children(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(parsing, "CHILD", ("-c", "raise SystemExit(1)"))
    with ParsePool(tmp_path, file_bytes=1, file_seconds=1, workers=2) as pool:
        assert list(pool.parse([])) == []


def test_memory_does_not_grow_with_the_number_of_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing collects garbage in a child, so extraction must not leave any."""
    body = "\n".join(f"def f{n}(a, b=E.X{n}): return [a.b.c for a in b if a['k{n}']]" for n in range(300))
    files = {f"f{n}.py": f"from a import E\nx = {n}\n{body}" for n in range(240)}
    peak = "str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    use_child(
        monkeypatch, tmp_path, f"return original(repository, sha, file_bytes, native)._replace(words={peak})"
    )
    kilobytes = sorted(int(o.words) for o in outcomes(make(tmp_path, files), workers=1).values())
    assert kilobytes[-1] - kilobytes[len(kilobytes) // 4] < 20_000


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_file_that_needs_too_much_memory_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_child(monkeypatch, tmp_path, "big = bytearray(3 * 1024**3) if b'big' in data else None")
    found = outcomes(make(tmp_path, {"big.py": "big = 1\n", **GOOD}))
    assert {path for path, o in found.items() if o.problem} == {"big.py"}


def test_an_absent_repository_is_nobodys_fault(tmp_path: Path) -> None:
    with (
        pytest.raises(ParserUnavailableError),
        ParsePool(tmp_path / "nowhere", file_bytes=1, file_seconds=1, workers=1) as pool,
    ):
        list(pool.parse(["1" * 40]))


def test_unknown_blobs_are_problems_of_their_own(tmp_path: Path) -> None:
    repository = make(tmp_path, GOOD)
    sha = str(pygit2.Oid(hex="1" * 40))
    with ParsePool(repository.path, file_bytes=1_000, file_seconds=30, workers=1) as pool:
        ((outcome,),) = pool.parse([sha])
    assert outcome.problem == ProblemKind.MISSING_BLOB

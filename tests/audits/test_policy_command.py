"""``manage.py policy check``: the answer that an editor of a policy waits for."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits.engine.policy import parse_policy
from tests.samples import commit_tree, init_repository


def test_a_good_policy_says_what_it_declares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        'version = 1\nsource_roots = ["lib"]\n[[forbidden]]\nsymbol = "os.environ"\n'
        '[[forbidden]]\nsymbol = "uuid.uuid4"\n[[registry]]\nenum = "app.ids.IDType"\n'
    )
    call_command("policy", "check", str(file))
    said = capsys.readouterr().out
    assert "2 x forbidden symbol: os.environ, uuid.uuid4" in said
    assert "1 x enum of ID types: app.ids.IDType" in said and "source roots: lib" in said
    file.write_text("")
    call_command("policy", "check", str(file))
    assert "declares nothing canonical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"version = 2\n", "line 1: expected `version = 1`"),
        (b"version = 1\n[[forbidden]]\nsymbol = 'a b'\n", "line 3: symbol: expected a dotted name"),
        (b"version = 1\n[[unique]]\nsymbol = 'a.b'\n[[unique]]\nkinds = ['class']\n", "line 4: .*symbol"),
        (b"version = 1\n[[deprecated]]\nold = 'a.b'\ndeadline = 'soon'\n", "line 4: .*date"),
        (b"version = 1\n[[base]]\nbase = 'a.B'\nallow = ['/x']\n", "line 4: allow"),
        (b"\xff", "can't be read"),
    ],
)
def test_a_bad_policy_names_the_line_and_what_was_expected(tmp_path: Path, text: bytes, words: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(text)
    with pytest.raises(CommandError, match=words) as error:
        call_command("policy", "check", str(file))
    assert error.value.returncode == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("policy", "check", str(tmp_path / "absent.toml"))


def test_a_policy_is_suggested_that_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSOT_CACHE_DIR", str(tmp_path / "cache"))
    repository = init_repository(tmp_path / "r")
    files = {
        "app/__init__.py": "",
        "app/config.py": "import os\n" + "".join(f"A{n} = os.environ['A{n}']\n" for n in range(6)),
        "app/stray.py": "import os\nX = os.environ['X']\n",
    }
    commit_tree(repository, files, "A tree", 1_700_000_000, [])
    call_command("policy", "suggest", str(repository))
    said = capsys.readouterr()
    assert parse_policy(said.out).forbidden[0].symbol == "os.environ"
    assert "Ready to use: 1; doubtful, marked with #: 0." in said.err
    file = tmp_path / "policy.toml"
    call_command("policy", "suggest", str(repository), "--output", str(file))
    call_command("policy", "check", str(file))
    assert "1 x forbidden symbol: os.environ" in capsys.readouterr().out


def test_nothing_is_suggested_where_there_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Could not suggest: .* is not a git repository"):
        call_command("policy", "suggest", str(tmp_path))

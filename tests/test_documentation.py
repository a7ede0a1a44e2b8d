"""The documentation names what there is."""

import ast
import re
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from django.conf import settings
from django.core.management import call_command

from audits.engine.policy import Policy, parse_policy
from audits.engine.rules import RULES

ROOT = Path(settings.BASE_DIR)
NAMES = re.compile(r"""env(?:_bool|_int|_list|_secret|iron\.get)\(\s*"([A-Z][A-Z_]+)\"""")


def test_the_page_of_settings_names_each_setting_and_no_other() -> None:
    wanted = set(NAMES.findall((ROOT / "ssot_dash/settings.py").read_text()))
    named = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    assert len(wanted) > 20
    assert named - wanted == {"SSOT_CACHE_DIR", "SSOT_DATA_DIR"}  # read elsewhere
    assert wanted <= named


# In words, because the value says nothing by itself or depends on the place.
IN_WORDS = {
    *("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "LOG_FORMAT"),
    *("SSOT_CACHE_DIR", "SSOT_DATA_DIR"),
}
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def defaults() -> dict[str, object]:
    """Setting to its default, of all that the settings file reads from the environment."""
    found: dict[str, object] = {}
    for call in ast.walk(ast.parse((ROOT / "ssot_dash/settings.py").read_text())):
        if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Constant):
            continue
        reader = ast.unparse(call.func)
        if reader in {"env_bool", "env_int", "env_list", "os.environ.get"}:
            given = ast.unparse(call.args[1]) if len(call.args) > 1 else repr(reader != "env_bool" and "")
            found[str(call.args[0].value)] = eval(given, {"__builtins__": {}})  # noqa: S307 (our own arithmetic)
    return found


def as_documented(cell: str) -> object:
    """What a cell of the column of defaults says."""
    words = cell.removesuffix(" (for ever)").strip("`")
    if words in {"none", "off", "on"}:
        return {"none": "", "off": False, "on": True}[words]
    number, _, unit = words.partition(" ")
    if re.fullmatch(r"[0-9,]+", number):
        return int(number.replace(",", "")) * UNITS.get(unit, 1)
    return words


def test_the_page_of_settings_has_the_defaults_of_the_code() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| ([^|]*) \| [^|]+ \|$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE
    )
    documented = {name: as_documented(cell) for name, cell in rows if name not in IN_WORDS}
    assert documented == {name: value for name, value in defaults().items() if name not in IN_WORDS}


def test_the_readme_names_each_rule() -> None:
    text = (ROOT / "README.md").read_text()
    assert [rule for rule in RULES if f"| `{rule}` |" not in text] == []


PAGES = ["README.md", "CHANGELOG.md", *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_and_pictures_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)", path.read_text())
    assert [link for link in links if "://" not in link and not (path.parent / link).exists()] == []


def test_the_page_of_rules_says_what_each_rule_says_of_itself() -> None:
    """The rules' own texts are the source: ``manage.py rules`` prints the page."""
    output = StringIO()
    call_command("rules", stdout=output)
    assert (ROOT / "docs/rules.md").read_text() == output.getvalue()


def test_the_page_of_policies_says_what_the_types_say() -> None:
    """``manage.py policy reference --write docs/policy.md`` renews it."""
    output = StringIO()
    call_command("policy", "reference", stdout=output)
    text = output.getvalue()
    assert (ROOT / "docs/policy.md").read_text() == text
    for field in msgspec.structs.fields(Policy):
        assert re.search(rf"(?m)^(### `\[+{field.name}\]+`|\| `{field.name}` \|)", text), field.name


def test_the_example_of_the_page_of_policies_is_a_policy_with_every_table() -> None:
    text = (ROOT / "docs/policy.md").read_text()
    policy = parse_policy(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    assert [name for name in Policy.__struct_fields__ if not getattr(policy, name)] == []


def test_the_example_of_the_page_of_waivers_is_a_policy() -> None:
    text = (ROOT / "docs/waivers.md").read_text()
    assert len(parse_policy(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]).waiver) == 2

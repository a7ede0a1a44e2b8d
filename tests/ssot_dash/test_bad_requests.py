"""Whatever is put into an address, a form or a body: an answer in words, never a 5xx, on every route there is."""

import json
import logging
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.datastructures import MultiValueDict

from ssot_dash import tokens
from ssot_dash.api import api
from tests.samples.markup import PAYLOAD
from tests.ssot_dash import world
from tests.ssot_dash.routes import OPERATIONS, PAGES
from tests.ssot_dash.test_routes import ask, client_of, path_of
from tests.ssot_dash.world import NOBODY, World

pytestmark = pytest.mark.django_db

# As they stand in an address or a form. Not all is text: %FF and half a surrogate pair are bytes that no text has.
NASTY = [
    "%00",
    "a%00b",
    "%FF%FE",
    "%ED%A0%80",
    "9" * 5_000,
    "9" * 19,
    "-1",
    "0",
    "1e400",
    "NaN",
    quote("²"),
    quote("٣"),
    "x" * 20_000,
    quote("<script>alert(1)</script>"),
    quote("(a+)+$[\\"),
    quote("../../etc/passwd"),
    "2024-13-45",
    "0001-01-01",
    "99999-01-01",
    quote('{"a":[]}'),
    quote("a=1&b==,;:'\"%s{0}"),
    quote("\u202e\u0085\u2028\ufeff🙂"),
]

TURNS = 2  # of each page, with other values for each parameter


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def all_of_it() -> World:
    return world.make()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the parameters and fields that were looked for since it was cleared."""
    names: set[str] = set()
    for method in ("get", "getlist", "__getitem__"):
        original = getattr(MultiValueDict, method)

        def spy(self: Any, key: Any, *more: Any, original: Any = original, **named: Any) -> Any:
            if isinstance(key, str):
                names.add(key)
            return original(self, key, *more, **named)

        monkeypatch.setattr(MultiValueDict, method, spy)
    return names


def boss_of(all_of_it: World) -> Client:
    client = client_of(all_of_it.people["superuser"])
    client.raise_request_exception = False
    return client


def names_asked(client: Client, asked: set[str], method: str, path: str) -> list[str]:
    asked.clear()
    data: Any = {"x": "y", "f": SimpleUploadedFile("f.txt", b"f")} if method == "post" else {"x": "y"}
    ask(client, method, path, data=data)
    return sorted(asked - {"x"})


def mixed(names: list[str], turn: int) -> str:
    """All parameters with a nasty value each; in another turn, others."""
    return "&".join(f"{name}={NASTY[(turn * 5 + place) % len(NASTY)]}" for place, name in enumerate(names))


def wrong_answers(client: Client, asked: set[str], method: str, path: str, first: int) -> Iterator[str]:
    names = names_asked(client, asked, method, path)
    for turn in range(first, first + TURNS if names else first):
        query = mixed(names, turn)
        fragment = {"HX-Request": "true"} if turn % 2 else {}
        if method == "get":
            answer = ask(client, "get", f"{path}?{query}", headers=fragment)
        else:
            form = "application/x-www-form-urlencoded"
            answer = ask(client, "post", path, data=query, content_type=form, headers=fragment)
        if answer.status_code >= 500:
            error = getattr(answer, "exc_info", (None, None))[1]
            yield f"{method} {path[:100]} with {query[:300]}: {error!r}"[:600]


@pytest.mark.long
def test_no_address_and_no_form_of_a_page_breaks_it(all_of_it: World, asked: set[str]) -> None:
    client = boss_of(all_of_it)
    wrong = []
    for number, (name, route) in enumerate(PAGES.items()):
        path = path_of(name, route, all_of_it.public)
        for method, need in (("get", route.get), ("post", route.post)):
            if need != NOBODY:
                wrong += wrong_answers(client, asked, method, path, number)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_and_no_form_for_strangers_breaks_it(
    all_of_it: World, asked: set[str], method: str
) -> None:
    client = Client(raise_request_exception=False)
    wrong = []
    for path in ("/login/", "/admin/login/", "/welcome/x/", "/sign-in/provider/", "/sign-in/provider/back/"):
        wrong += wrong_answers(client, asked, method, path, 0)
    for piece in NASTY:
        for path in (f"/welcome/{piece}/", f"/invitation/{piece}/{piece}/", f"/badges/plain/{piece}.svg"):
            answer = ask(client, method, path)
            if answer.status_code >= 500:
                wrong.append(f"{method} {path[:100]}")
    assert not wrong, "\n".join(wrong)


def test_no_part_of_an_address_breaks_a_page(all_of_it: World) -> None:
    """What stands where a page expects a key, a name or a commit."""
    client = boss_of(all_of_it)
    marked = {key: f"key-{key}" for key in all_of_it.public.keys}
    wrong = []
    for name, route in PAGES.items():
        whole = path_of(name, route, all_of_it.public)
        keys = [str(all_of_it.public.keys[key]) for key in marked if key in {"repository", route.of}]
        keys += [str(value) for _, value in route.arguments]
        for key in keys:
            for piece in NASTY[::5] if f"/{key}/" in whole else ():
                path = whole.replace(f"/{key}/", f"/{piece}/")
                answer = ask(client, "get" if route.get != NOBODY else "post", path)
                if answer.status_code >= 500:
                    wrong.append(f"{path[:100]}: {getattr(answer, 'exc_info', (None, None))[1]!r}")
    assert not wrong, "\n".join(wrong)


# --- Programs ---


def spoilt(value: Any) -> Iterator[Any]:
    """The body with each of its texts and numbers replaced by what no database takes, or no such field holds."""
    if isinstance(value, dict):
        for key, inner in value.items():
            for worse in spoilt(inner):
                yield {**value, key: worse}
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            for worse in spoilt(inner):
                yield [*value[:place], worse, *value[place + 1 :]]
    if not isinstance(value, dict):
        yield from ("a\0b", "\ud800", "x" * 5_000, -1, 10**30, 1.5, None, [[]], {"a": "\0", "\udfff": 1})


NO_JSON = {
    "depth of 100,000": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
    "list of depth 100,000": (b"[" * 100_000, "nested too deeply"),
    "number of 5,000 digits": (b'{"count": ' + b"9" * 5_000 + b"}", "too many digits"),
    "no UTF-8": (b'{"type": "\xff\xfe"}', "no UTF-8: byte 10"),
    "UTF-16": ('{"type": "user"}'.encode("utf-16"), "no UTF-8"),
    "NaN": (b'{"count": NaN}', "has NaN"),
    "infinity": (b'{"count": -Infinity}', "has -Infinity"),
    "a name twice": (b'{"a": {"type": "user", "type": "run"}}', "'type' twice"),
    "cut off": (b'{"type":\n"us', "no JSON: line 2"),
    "NUL": (b"\0", "no JSON"),
}


def program_of(all_of_it: World) -> Client:
    secret = tokens.create(all_of_it.people["superuser"], "x", tokens.SCOPES)[1]
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def said(answer: Any) -> str:
    """What is wrong with the answer to a bad request: nothing, when it says in words what is wrong with that."""
    if answer.status_code >= 500:
        return f"{answer.status_code} {getattr(answer, 'exc_info', (None, None))[1]!r}"[:300]
    if answer.status_code >= 400 and not (answer.json()["code"] and answer.json()["message"]):
        return f"{answer.status_code} without words"
    return ""


POSTS = [name.split()[1] for name in OPERATIONS if name.startswith("POST")]


def test_no_body_breaks_an_operation(all_of_it: World) -> None:
    client = program_of(all_of_it)
    wrong = []
    for name in POSTS:
        operation = OPERATIONS[f"POST {name}"]
        for number, body in enumerate(spoilt(operation.body)):
            path = name.replace("{slug}", "plain")
            answer = ask(client, "post", path, data=json.dumps(body), content_type="application/json")
            if problem := said(answer):
                wrong.append(f"POST {path} with the spoilt body {number}, {body!r:.100}: {problem}")
    assert not wrong, "\n".join(wrong)


def test_what_is_no_json_is_refused_by_every_operation(all_of_it: World) -> None:
    client = program_of(all_of_it)
    for name in POSTS:
        if OPERATIONS[f"POST {name}"].body is None:
            continue  # takes a form
        path = name.replace("{slug}", "plain")
        for what, (body, words) in NO_JSON.items():
            answer = ask(client, "post", path, data=body, content_type="application/json")
            assert answer.status_code == 400, (path, what, answer.status_code, answer.content[:300])
            assert words in answer.json()["message"], what


def test_no_parameter_breaks_an_operation(all_of_it: World) -> None:
    client = program_of(all_of_it)
    wrong = []
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, details in methods.items():
            parameters = details.get("parameters", [])
            names = [p["name"] for p in parameters if p["in"] == "query"]
            address = path.replace("{slug}", "plain")
            for key in [p["name"] for p in parameters if p["in"] == "path" and p["name"] != "slug"]:
                address = address.replace("{" + key + "}", str(all_of_it.public.keys.get(key[:-3], "1")))
            for turn in range(TURNS if names else 0):
                answer = ask(client, method, f"{address}?{mixed(names, turn)}")
                if problem := said(answer):
                    wrong.append(f"{method} {address}?{mixed(names, turn)[:200]}: {problem}")
            for piece in NASTY[::3] if "{" in path else ():
                answer = ask(client, method, re.sub(r"\{\w+\}", piece, path))
                if answer.status_code >= 500:
                    wrong.append(f"{method} {path} with {piece[:40]}: {said(answer)}")
    assert not wrong, "\n".join(wrong)


# --- What others wrote, on pages ---


class Inert(HTMLParser):
    """Collects what in a page comes from the payload and would do something."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        names = {name: (value or "").strip().lower() for name, value in attrs}
        if tag == "evil" or any(name.startswith("on") for name in names):
            self.alive.append(self.get_starttag_text() or tag)
        for name, value in names.items():
            leads = name in {"href", "src", "action", "formaction"} or name.startswith(("hx-", "data-hx-"))
            if leads and (value.startswith("javascript:") or "//evil" in value.split("?")[0]):
                self.alive.append(f"{name}={value}")

    def handle_data(self, data: str) -> None:
        if self.inside in {"script", "style"} and "evil" in data:
            self.alive.append(data[:100])

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


def test_what_others_wrote_is_text_on_every_page(all_of_it: World) -> None:
    world.write_everywhere(PAYLOAD)
    client = boss_of(all_of_it)
    seen = 0
    for name, route in PAGES.items():
        if route.get == NOBODY:
            continue
        answer = ask(client, "get", path_of(name, route, all_of_it.public))
        assert answer.status_code < 500, (name, getattr(answer, "exc_info", None))
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            assert answer.headers.get("X-Content-Type-Options") == "nosniff", name
            continue
        text = answer.content.decode()
        seen += "evil" in text
        page = Inert()
        page.feed(text)
        assert not page.alive, (name, page.alive)
    assert seen > 20

"""Every address that answers GET, with arguments that mean something in the site at hand: of its largest repository.

Addresses come from the URLconf and the API's schema, so that a new page is measured without a line here, unless it has
an argument of a kind that no other has.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Count
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from audits.models import (
    Audit,
    Commit,
    Issue,
    PolicyInquiry,
    Repository,
    State,
    Test,
    TestExecution,
    TestRun,
    Tracker,
    Violation,
    Waiver,
)
from ids.models import IDCounter, IDType, IssuedID, LegacyFormat
from ssot_dash.api import api

# Signing in and out, and what is signed otherwise, is no page; neither are answers that need a person to ask them.
NO_PAGES: Final = frozenset(
    {
        *("login", "logout", "welcome", "invitation", "oidc-begin", "oidc-back"),
        *("api:api-root", "audits:push-hook"),
    }
)
_API: Final = "api/v1/"


@dataclass(frozen=True, slots=True)
class Page:
    """An address, and what it is called in tables. ``is_api``: a program asks, with a token."""

    name: str
    path: str
    is_api: bool = False


@dataclass(frozen=True, slots=True)
class NoExample:
    """An address that can't be asked here, because there is nothing in the site that it could be about."""

    name: str


# What people do with the long lists besides opening them.
_QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "audits:violation-list": (
        *("page=30", "q=Subject11", "state=all", "view=places", "view=places&page=100", "sort=-files"),
        *("rule=name-family&zone=prod", "open={rule}:{subject}"),
    ),
    "audits:repository-score": ("page=2", "zone=prod&show=open"),
    "audits:hot-spots": ("in=prod",),
    "audits:history": ("commits=all&page=5", "rule=name-family", "days=30", "over=time"),
    "audits:audit-detail": ("against={parent}",),
    "audits:audit-list": ("page=50", "state=failed", "repository={slug}"),
    "audits:issue-list": ("repository={slug}", "view=list", "view=list&page=20", "q=subject"),
    "audits:test-run-list": ("page=5",),
    "audits:test-run": ("outcome=failed", "page=5"),
    "audits:test-run-compare": ("before={before}&after={run}",),
    "ids:type-list": ("q=load", "sort=-active", "sort=-rate&page=2"),
    "ids:type-detail": ("per=hour", "per=day"),
    "ids:explore": ("id={identifier}",),
    "activity": ("page=900", "verb=audits:policy", "user=person-7"),
}
_API_QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "/audits/{audit_id}/findings": ("", "format=sarif", "against={parent}"),
    "/audits/{audit_id}/verdict": ("against={parent}",),
    "/repositories/{slug}/test-runs/compare": ("before={before}&after={run}",),
    "/ids/types/export": ("format=python",),
    "/ids/issued": ("type={value}", "owner={owner}", "parent={identifier}"),
    "/ids/count": ("type={value}", "owner={owner}"),
}


class Examples:
    """Rows of the largest repository and the largest type, as arguments of addresses."""

    def __init__(self) -> None:
        by_size = (
            Violation.objects.order_by().values("repository").annotate(size=Count("pk")).order_by("-size")
        )
        row = by_size.first()
        self.repository = Repository.objects.filter(pk=row["repository"]).first() if row else None
        counter = IDCounter.objects.select_related("type").order_by("-issued").first()
        self.type = counter.type if counter else IDType.objects.first()
        self.keys = {name: value for name, value in self._all() if value is not None}

    def _all(self) -> Iterator[tuple[str, Any]]:
        repository = self.repository
        of_it = {"repository": repository}

        def newest(model: Any, **more: Any) -> Any:
            return model.objects.filter(**of_it, **more).order_by("-pk").first()

        audit = repository.current_audit if repository else None
        violation = newest(Violation, is_open=True)
        run = newest(TestRun)
        before = run and TestRun.objects.filter(**of_it, pk__lt=run.pk).order_by("-pk").first()
        commit = Commit.objects.filter(**of_it, introduced__gt=0).order_by("-position").first()
        # The first test is like the others: a run's results are found by its number.
        test = run and Test.objects.filter(results__run=run).order_by("pk").first()
        issued = IssuedID.objects.filter(type=self.type, state="issued").order_by("-counter").first()
        owned = IssuedID.objects.exclude(owner="").exclude(state="released").order_by("owner", "id").first()
        yield "slug", repository and repository.slug
        yield "sha", commit and commit.sha
        yield "parent", audit and next(iter(audit.audited_parents), None)
        yield "rule", violation and violation.rule
        yield "subject", violation and violation.subject
        yield "value", self.type and self.type.value
        yield "identifier", issued and issued.id
        yield "owner", owned and owned.owner
        yield "run", run and run.pk
        yield "before", before and before.pk
        yield "suffix", "json"
        yield "what", "open"
        version = repository and repository.policy_versions.first()
        yield "number", version and version.number
        report = getattr(repository, "duplicate_report", None) if repository else None
        yield "key", report and report.groups[0]["key"] if report and report.groups else None
        rows: Mapping[str, Callable[[], Any]] = {
            "violations": lambda: violation,
            "audits": lambda: audit or newest(Audit, state=State.SUCCEEDED),
            "waivers": lambda: newest(Waiver),
            "trackers": lambda: newest(Tracker),
            "issues": lambda: newest(Issue),
            "test-runs": lambda: run,
            "tests": lambda: test,
            "test-executions": lambda: newest(TestExecution),
            "policy/inquiries": lambda: newest(PolicyInquiry),
            "ids/legacy": LegacyFormat.objects.first,
        }
        for name, row in rows.items():
            found = row()
            yield f"{name}/pk", found and found.pk
        yield "audit_id", audit and audit.pk
        yield "run_id", run and run.pk
        issue = newest(Issue)
        yield "issue_id", issue and issue.pk

    def arguments(self, route: str, names: Iterator[str] | list[str]) -> dict[str, Any] | None:
        """Of an address with these parameters; None when there is no example of one."""
        found = {}
        for name in names:
            key = (
                next((key for key in self.keys if key.endswith("/pk") and f"{key[:-2]}<" in route), "")
                if name == "pk"
                else name
            )
            if key not in self.keys:
                return None
            found[name] = self.keys[key]
        return found


def pages(examples: Examples) -> Iterator[Page | NoExample]:
    """Those of the URLconf, of the admin and of the API. What refuses GET is among them: asking tells."""
    for name, route, parameters in named_routes():
        arguments = examples.arguments(route, parameters)
        if arguments is None:
            yield NoExample(name)
            continue
        path = reverse(name, kwargs=arguments)
        yield Page(name, path)
        yield from _with_queries(Page(name, path), _QUERIES.get(name, ()), examples)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        yield Page(name, reverse(name))
        yield Page(f"{name}?q", reverse(name) + "?q=load")
    yield Page("admin:index", reverse("admin:index"))
    yield from _operations(examples)


def named_routes() -> Iterator[tuple[str, str, list[str]]]:
    """(name, route, parameters) of every address that has a name and may be a page, without the admin's."""

    def walk(patterns: list[Any], namespace: str, before: str) -> Iterator[tuple[str, str, list[str]]]:
        for each in patterns:
            route = before + str(each.pattern)
            if isinstance(each, URLResolver):
                inner = f"{namespace}{each.namespace}:" if each.namespace else namespace
                if each.namespace != "admin":
                    yield from walk(each.url_patterns, inner, route)
            elif isinstance(each, URLPattern) and each.name:
                name = namespace + each.name
                # An operation of the API has a name for each path, and methods: the schema knows them.
                if name not in NO_PAGES and (not route.startswith(_API) or name == "api:openapi-json"):
                    yield name, route, list(each.pattern.converters)

    yield from walk(get_resolver().url_patterns, "", "")


def _operations(examples: Examples) -> Iterator[Page | NoExample]:
    prefix = f"/{_API}".rstrip("/")
    for path, methods in api.get_openapi_schema()["paths"].items():
        if "get" not in methods:
            continue
        short = path.removeprefix(prefix)
        try:
            full = path.format(**examples.keys)
        except KeyError:
            yield NoExample(f"GET {short}")
            continue
        queries = _API_QUERIES.get(short, ("",))
        yield from _with_queries(Page(f"GET {short}", full, is_api=True), queries, examples)


def _with_queries(page: Page, queries: tuple[str, ...], examples: Examples) -> Iterator[Page | NoExample]:
    for query in queries:
        name = f"{page.name}?{query}" if query else page.name
        try:
            yield Page(name, f"{page.path}?{query.format(**examples.keys)}".rstrip("?"), page.is_api)
        except KeyError:
            yield NoExample(name)

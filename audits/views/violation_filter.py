"""What of a repository's violations a page shows: read from a query string and written back to one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import urlencode

from django.db.models import Case, Count, Min, Q, QuerySet, Value, When
from django.http import QueryDict

from audits.engine.findings import Annotation, Severity, Zone
from audits.models import Violation
from audits.models.violation import counting, waived
from audits.templatetags.audit_words import ANNOTATIONS, SEVERITIES, ZONES
from audits.views.choices import Facet, Option
from audits.views.pages import wanted_text

STATES = {"open": "Open", "waived": "Waived", "gone": "Gone", "all": "All"}
NO_ANNOTATION = "none"
# column -> (what to order by, whether a first click on it means descending)
GROUP_SORTS = {
    "severity": ("worst", False),
    "subject": ("subject", False),
    "rule": ("rule", False),
    "places": ("places", True),
    "files": ("files", True),
}
PLACE_SORTS = {
    "severity": ("severity", False),
    "subject": ("subject", False),
    "rule": ("rule", False),
    "path": ("path", False),
    "zone": ("zone", False),
}
MAX_OPEN_GROUPS = 20
MAX_CHOICES = 40


@dataclass(frozen=True, slots=True)
class FacetRow:
    """How many violations share these properties."""

    state: str
    rule: str
    zone: str
    severity: str
    annotations: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationFilter:
    """A page's choice. Unknown values of a query string are dropped, so any query string makes a page.

    ``group`` (rule, subject) narrows to one subject; ``flat`` lists places instead of subjects; ``opened`` are the
    subjects whose places are shown.
    """

    state: str = "open"
    rules: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    words: str = ""
    subject: str = ""
    flat: bool = False
    sort: str = ""
    opened: tuple[tuple[str, str], ...] = ()
    page: int = 1

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        flat = query.get("view") == "places"
        sort = query.get("sort", "")
        state = query.get("state", "")
        page = query.get("page", "")
        return cls(
            state=state if state in STATES else "open",
            rules=tuple(filter(None, (wanted_text(r, 40) for r in query.getlist("rule")[:MAX_CHOICES]))),
            zones=_known(query.getlist("zone"), Zone),
            severities=_known(query.getlist("severity"), Severity),
            annotations=_known(query.getlist("annotation"), (*Annotation, NO_ANNOTATION)),
            words=wanted_text(query.get("q")),
            subject=wanted_text(query.get("subject"), 2000),
            flat=flat,
            sort=sort if sort.removeprefix("-") in (PLACE_SORTS if flat else GROUP_SORTS) else "",
            opened=tuple(_group(key) for key in query.getlist("open")[:MAX_OPEN_GROUPS] if ":" in key),
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 8 else 1,
        )

    def query(self) -> str:
        """The query string of this choice, "?" included; only what differs from the default is in it."""
        pairs: list[tuple[str, str]] = []
        if self.words:
            pairs.append(("q", self.words))
        if self.state != "open":
            pairs.append(("state", self.state))
        for name, values in (
            ("rule", self.rules),
            ("zone", self.zones),
            ("severity", self.severities),
            ("annotation", self.annotations),
        ):
            pairs += [(name, value) for value in values]
        if self.subject:
            pairs.append(("subject", self.subject))
        if self.flat:
            pairs.append(("view", "places"))
        if self.sort:
            pairs.append(("sort", self.sort))
        pairs += [("open", f"{rule}:{subject}") for rule, subject in self.opened]
        if self.page > 1:
            pairs.append(("page", str(self.page)))
        return "?" + urlencode(pairs)

    @property
    def hidden_fields(self) -> tuple[tuple[str, str], ...]:
        """What the search form carries along besides the words: everything but page and opened subjects."""
        kept = replace(self, words="", opened=(), page=1).query().removeprefix("?")
        return tuple((name, value) for name, values in QueryDict(kept).lists() for value in map(str, values))

    @property
    def narrowed(self) -> bool:
        """Whether anything but the state was chosen."""
        return bool(
            self.rules or self.zones or self.severities or self.annotations or self.words or self.subject
        )

    @property
    def widest_query(self) -> str:
        return replace(ViolationFilter(), state=self.state, flat=self.flat, sort=self.sort).query()

    @property
    def flat_query(self) -> str:
        return replace(self, flat=True, sort="", opened=(), page=1).query()

    @property
    def grouped_query(self) -> str:
        return replace(self, flat=False, subject="", sort="", opened=(), page=1).query()

    def page_query(self, number: int) -> str:
        return replace(self, page=number).query()

    def sort_query(self, column: str) -> str:
        """Order by ``column``; the other way round when it is already the order."""
        current = self.sort.removeprefix("-") or "severity"
        descending = (PLACE_SORTS if self.flat else GROUP_SORTS)[column][1]
        if current == column:
            descending = not self.sort.startswith("-")
        return replace(self, sort=("-" if descending else "") + column, page=1).query()

    def toggle_query(self, group: tuple[str, str]) -> str:
        """Show or hide the places of one subject."""
        opened = tuple(g for g in self.opened if g != group)
        return replace(self, opened=opened if group in self.opened else (*opened, group)).query()

    def places_query(self, group: tuple[str, str]) -> str:
        """All places of one subject, as their own list."""
        rule, subject = group
        return replace(self, rules=(rule,), subject=subject, flat=True, sort="", opened=(), page=1).query()

    # --- What it means in the database -----------------------------------------------------------------------------

    def searched(self, violations: QuerySet[Violation]) -> QuerySet[Violation]:
        """Those that the words and the subject let through; the facets count among them."""
        for word in self.words.split():
            violations = violations.filter(
                Q(subject__icontains=word) | Q(path__icontains=word) | Q(message__icontains=word)
            )
        return violations.filter(subject=self.subject) if self.subject else violations

    def apply(self, violations: QuerySet[Violation]) -> QuerySet[Violation]:
        violations = self.searched(violations)
        if self.state != "all":
            violations = violations.filter(_in_state(self.state))
        if self.rules:
            violations = violations.filter(rule__in=self.rules)
        if self.zones:
            violations = violations.filter(zone__in=self.zones)
        if self.severities:
            violations = violations.filter(severity__in=self.severities)
        if self.annotations:
            marks = Q(annotations__overlap=[a for a in self.annotations if a != NO_ANNOTATION])
            if NO_ANNOTATION in self.annotations:
                marks |= Q(annotations=[])
            violations = violations.filter(marks)
        return violations

    def grouped(self, violations: QuerySet[Violation]) -> QuerySet[Violation, Any]:
        """One row per (rule, subject) with figures, in the chosen order.

        ``files`` are among the figures only where they are the order: see ``with_files``.
        """
        field, descending = _order(self.sort, GROUP_SORTS)
        # Distinct paths can only be counted in sorted rows, which takes longer than all the rest.
        files = {"files": Count("path", distinct=True)} if field == "files" else {}
        first = [("-" if descending else "") + field] if field else []
        return (
            self.apply(violations)
            .values("rule", "subject")
            .annotate(
                places=Count("pk"),
                open_places=Count("pk", filter=counting()),
                waived_places=Count("pk", filter=waived()),
                **files,
                worst=Min("severity"),
                **{zone: Count("pk", filter=Q(zone=zone)) for zone in Zone},
            )
            .order_by(*first, *(f for f in ("worst", "-places", "subject", "rule") if f not in first))
        )

    def with_files(
        self, violations: QuerySet[Violation], rows: Iterable[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Some rows of ``grouped``, with ``files``: in how many files the places are. One query at most."""
        listed = list(rows)
        if missing := [(row["rule"], row["subject"]) for row in listed if "files" not in row]:
            wanted = Q()
            for rule, subject in missing:
                wanted |= Q(rule=rule, subject=subject)
            counts = self.apply(violations).filter(wanted).order_by().values_list("rule", "subject")
            files = {
                (rule, subject): count
                for rule, subject, count in counts.annotate(count=Count("path", distinct=True))
            }
            for row in listed:
                row.setdefault("files", files.get((row["rule"], row["subject"]), 0))
        return listed

    def listed(self, violations: QuerySet[Violation]) -> QuerySet[Violation]:
        """The single violations in the chosen order."""
        field, descending = _order(self.sort, PLACE_SORTS)
        first = [("-" if descending else "") + field] if field else []
        return self.apply(violations).order_by(
            *first, *(f for f in ("severity", "path", "line", "column", "pk") if f not in first)
        )

    # --- Facets ------------------------------------------------------------------------------------------------------

    def facets(self, violations: QuerySet[Violation]) -> tuple[Facet, ...]:
        """State, zone, severity, rule and annotation with a count for each choice. One query."""
        rows = [
            FacetRow(state, rule, zone, severity, tuple(annotations), count)
            for state, rule, zone, severity, annotations, count in self.searched(violations)
            .order_by()
            .annotate(
                state=Case(
                    When(counting(), then=Value("open")),
                    When(waived(), then=Value("waived")),
                    default=Value("gone"),
                )
            )
            .values_list("state", "rule", "zone", "severity", "annotations")
            .annotate(count=Count("pk"))
        ]
        rules = sorted({row.rule for row in rows} | set(self.rules))
        return (
            self._state_facet(rows),
            self._facet("zones", "Zone", [(z, ZONES[z], "") for z in Zone], rows),
            self._facet("severities", "Severity", [(s, s, SEVERITIES[s]) for s in Severity], rows),
            self._facet("rules", "Rule", [(r, r, "") for r in rules], rows),
            self._facet(
                "annotations",
                "Marks",
                [
                    *((a, *ANNOTATIONS[a]) for a in Annotation),
                    (NO_ANNOTATION, "No mark", "Nothing special about the place."),
                ],
                rows,
            ),
        )

    def _state_facet(self, rows: list[FacetRow]) -> Facet:
        options = []
        for value, label in STATES.items():
            choice = replace(self, state=value, opened=(), page=1)
            count = sum(row.count for row in rows if choice._lets_through(row))
            if count or value != "waived" or self.state == "waived":
                options.append(
                    Option(
                        value=value,
                        label=label,
                        count=count,
                        active=value == self.state,
                        query=choice.query(),
                    )
                )
        return Facet("state", "State", tuple(options))

    def _facet(
        self, field: str, label: str, choices: list[tuple[str, str, str]], rows: list[FacetRow]
    ) -> Facet:
        chosen: tuple[str, ...] = getattr(self, field)
        options = []
        for value, name, title in choices:
            alone = _with(self, field, (value,))
            count = sum(row.count for row in rows if alone._lets_through(row))
            active = value in chosen
            if not count and not active:
                continue
            rest = tuple(v for v in chosen if v != value)
            after = replace(_with(self, field, rest if active else (*chosen, value)), opened=(), page=1)
            options.append(
                Option(value=value, label=name, title=title, count=count, active=active, query=after.query())
            )
        return Facet(field, label, tuple(options))

    def _lets_through(self, row: FacetRow) -> bool:
        return (
            self.state in {"all", row.state}
            and (not self.rules or row.rule in self.rules)
            and (not self.zones or row.zone in self.zones)
            and (not self.severities or row.severity in self.severities)
            and (
                not self.annotations or bool(set(row.annotations or (NO_ANNOTATION,)) & set(self.annotations))
            )
        )


def _with(choice: ViolationFilter, field: str, values: tuple[str, ...]) -> ViolationFilter:
    changes: dict[str, Any] = {field: values}
    return replace(choice, **changes)


def _in_state(state: str) -> Q:
    return {"open": counting(), "waived": waived()}.get(state, Q(is_open=False))


def _known(values: list[str], allowed: Iterable[str]) -> tuple[str, ...]:
    names = {str(name) for name in allowed}
    return tuple(dict.fromkeys(value for value in values if value in names))


def _group(key: str) -> tuple[str, str]:
    rule, _, subject = wanted_text(key, 2000).partition(":")
    return rule, subject


def _order(sort: str, sorts: dict[str, tuple[str, bool]]) -> tuple[str, bool]:
    column = sort.removeprefix("-")
    return (sorts[column][0], sort.startswith("-")) if column in sorts else ("", False)

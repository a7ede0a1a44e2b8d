"""Where the code of the audited repositories uses ID types: written with each audit, told to the registry.

``usage_of`` is registered with ``ids.usage`` where the site's URLs are put together.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import transaction
from django.urls import reverse
from django.utils.http import urlencode

from audits.engine.findings import Use
from audits.engine.policy import Policy
from audits.models import Audit, MemberUse, RegistryReading, Repository, Violation
from audits.models.violation import counting
from audits.recording import clean
from ids.usage import CodeUse, Place, Unseen, Usage

PLACES_SHOWN: Final = 10
MOST_USES: Final = 50_000  # of one repository
MOST_REPOSITORIES: Final = 200  # told of one type
VALUE_LENGTH: Final = 100


def are_known(audit: Audit, policy: Policy) -> bool:
    """Whether what an audit saw is kept, or needn't be. One of a version that did not look for uses has nothing."""
    kept = RegistryReading.objects.filter(repository=audit.repository_id)
    return kept.filter(audit=audit).exists() if policy.registry else not kept.exists()


@transaction.atomic
def record(audit: Audit, policy: Policy, uses: Sequence[Use]) -> None:
    """Keep what an audit saw, if it is the current one of its repository; what an earlier one saw goes."""
    if not Repository.objects.filter(pk=audit.repository_id, current_audit=audit.pk).exists():
        return
    RegistryReading.objects.filter(repository=audit.repository_id).delete()
    if not policy.registry:
        return
    reading = RegistryReading.objects.create(
        repository_id=audit.repository_id,
        audit=audit,
        enums=sorted({clean(entry.enum) for entry in policy.registry}),
    )
    kept = [use for use in uses if len(use.value) <= VALUE_LENGTH][:MOST_USES]
    MemberUse.objects.bulk_create(
        [
            MemberUse(
                reading=reading,
                value=clean(use.value, VALUE_LENGTH),
                enum=clean(use.enum),
                member=clean(use.member),
                path=clean(use.path),
                line=use.line,
                scope=clean(use.scope),
                zone=use.zone,
                is_definition=use.is_definition,
            )
            for use in kept
        ],
        batch_size=2_000,
    )


def usage_of(value: str, user: Any) -> Usage:
    """Where an ID type is used, in the repositories that a user may know of; three queries at most."""
    repositories = list(
        Repository.objects.visible_to(user)
        .select_related("policy")
        .select_related("registry_reading__audit")
        .order_by("name")[:MOST_REPOSITORIES]
    )
    read = [repository for repository in repositories if hasattr(repository, "registry_reading")]
    places: dict[tuple[int, str], list[MemberUse]] = {}
    for row in MemberUse.objects.filter(
        reading__in=[repository.registry_reading.pk for repository in read], value=value
    ).order_by("path", "line", "pk"):
        places.setdefault((row.reading_id, row.enum), []).append(row)
    broken = _open_violations(read, value)
    return Usage(
        uses=tuple(
            _use(
                repository,
                enum,
                places.get((repository.registry_reading.pk, enum), []),
                [subject for subject in _subjects(enum, value) if (repository.pk, subject) in broken],
                sum(broken.get((repository.pk, subject), 0) for subject in _subjects(enum, value)),
            )
            for repository in read
            for enum in repository.registry_reading.enums
        ),
        unseen=tuple(
            Unseen(repository.name, repository.get_absolute_url(), _why_unseen(repository))
            for repository in repositories
            if not hasattr(repository, "registry_reading")
        ),
    )


def _use(
    repository: Repository, enum: str, rows: Sequence[MemberUse], subjects: Sequence[str], violations: int
) -> CodeUse:
    named = [row for row in rows if not row.is_definition]
    defined = next((row for row in rows if row.is_definition), None)
    audit = repository.registry_reading.audit
    query = (
        {"subject": subjects[0], "view": "places"} if len(subjects) == 1 else {"q": enum.rpartition(".")[2]}
    )
    return CodeUse(
        repository=repository.name,
        url=repository.get_absolute_url(),
        enum=enum,
        commit=audit.commit_sha,
        seen_at=audit.finished_at,
        definition=_place(defined) if defined else None,
        count=len(named),
        zones=tuple(sorted(Counter(row.zone for row in named).items())),
        places=tuple(_place(row) for row in named[:PLACES_SHOWN]),
        violations=violations,
        violations_url=f"{reverse('audits:violation-list', args=[repository.slug])}?{urlencode(query)}",
    )


def _place(row: MemberUse) -> Place:
    return Place(row.path, row.line, row.scope, row.zone)


def _subjects(enum: str, value: str) -> tuple[str, str]:
    """What the violations of a type are about: a member that is missing or drifts, an enum that lacks it."""
    return f"{enum}.{value.upper().replace('-', '_')}", f"{enum} lacks {value!r}"


def _open_violations(repositories: Iterable[Repository], value: str) -> dict[tuple[int, str], int]:
    """The number of open violations by repository and subject."""
    by_pk = {repository.pk: repository.registry_reading.enums for repository in repositories}
    subjects = {subject for enums in by_pk.values() for enum in enums for subject in _subjects(enum, value)}
    if not subjects:
        return {}
    rows = Violation.objects.filter(
        counting(),
        repository__in=by_pk,
        rule__in=["missing-member", "registry-drift"],
        subject__in=subjects,
    ).values_list("repository", "subject")
    return dict(Counter(rows))


def _why_unseen(repository: Repository) -> str:
    if repository.current_audit_id is None:
        return "it was not audited yet"
    policy = repository.policy
    if policy is None or not (policy.is_in_tree or "[[registry]]" in policy.text):
        return "its policy names no enum of ID types"
    return "its last audit did not look for uses; the next one will"

"""The policies of repositories: the only writer of their versions, and what says by which policy a commit is judged."""

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Max

from audits import scoring, waiving
from audits.engine.git import Commit, GitRepository
from audits.engine.policy import Policy, parse_policy
from audits.engine.registry import RegisteredType, Registry
from audits.engine.tree_policy import policy_in_tree
from audits.models import PolicySource, PolicyVersion, Repository
from ids.models import IDType


class StaleEditError(Exception):
    """Somebody else saved another version meanwhile."""


def save(
    repository: Repository,
    text: str = "",
    *,
    source: PolicySource = PolicySource.SITE,
    user: AbstractBaseUser | AnonymousUser | None = None,
    reason: str = "",
    based_on: int | None = None,
) -> tuple[PolicyVersion | None, bool]:
    """Give a repository a policy. Answers the version that it has then (None: still the default policy), and whether
    that is new; the policy that it has already makes no version.

    Its waivers and canonical subjects count at once; what it finds is known after the next audit. ``based_on`` is the
    number of the version that was edited, 0 when there was none (None: whatever it is). Raises ``PolicyError`` for a
    text that is no policy and ``StaleEditError``.
    """
    text = "" if source == PolicySource.TREE else as_lines(text)
    found = None if source == PolicySource.TREE else parse_policy(text)
    with transaction.atomic():
        locked = Repository.objects.select_for_update(no_key=True, of=("self",)).select_related("policy")
        current = locked.get(pk=repository.pk).policy
        if based_on is not None and based_on != (current.number if current else 0):
            raise StaleEditError
        if (source, text) == ((current.source, current.text) if current else (PolicySource.SITE, "")):
            return current, False
        last = repository.policy_versions.aggregate(last=Max("number"))["last"] or 0
        version = PolicyVersion.objects.create(
            repository=repository,
            number=last + 1,
            source=source,
            text=text,
            digest=found.digest if found is not None else "",
            author_id=user.pk if user is not None and user.is_authenticated else None,
            reason=reason,
        )
        Repository.objects.filter(pk=repository.pk).update(policy=version)
        if found is not None:
            waiving.take_over(repository.pk, found)
            scoring.redeclare(repository.pk, found)
    repository.policy = version
    return version, True


def as_lines(text: str) -> str:
    """A text as it was typed, with the line ends of a file: browsers send others."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if not text.strip() or text.endswith("\n") else text + "\n"


def policy_of(version: PolicyVersion | None, git: GitRepository, commit: Commit) -> Policy:
    """The policy by which a commit is judged. Raises ``PolicyError``, which names the line.

    A commit whose policy is to come from its own tree, and has none there, has no policy: that isn't the default one.
    """
    if version is None:
        return parse_policy("")
    if not version.is_in_tree:
        return parse_policy(version.text)
    return policy_in_tree(git, commit)


def registry_for(policy: Policy) -> Registry | None:
    """The site's own ID types, for a policy that names an enum of them."""
    if not policy.registry:
        return None
    types = IDType.objects.order_by("value").values_list("value", "status")
    return Registry(tuple(RegisteredType(value, status) for value, status in types))

"""Every address of the site and what it takes to use it: tests/ssot_dash/test_routes.py tries each as everybody.

A new view needs a line here, or that test fails.

``Route("audit", get=VIEWER)``: GET is for all who see it, its ``pk`` is an audit's, and POST is refused as unknown.
The rights are a role's: everywhere for what belongs to no repository, in the repository for what belongs to one.
"""

from dataclasses import dataclass

from tests.ssot_dash.world import ADMIN, EDITOR, NOBODY, SUPERUSER, VIEWER


@dataclass(frozen=True)
class Route:
    """``of``: what of a repository its parameter names, "" for what belongs to none. NOBODY: no such method."""

    of: str = ""
    get: int = NOBODY
    post: int = NOBODY
    arguments: tuple[tuple[str, object], ...] = ()
    may_lack: bool = False  # 404 also for who may: the world has no such thing


def repository(get: int = NOBODY, post: int = NOBODY) -> Route:
    return Route("repository", get, post)


PAGES = {
    "audits:overview": Route(get=VIEWER),
    "audits:repository-add": Route(get=ADMIN, post=ADMIN),
    "audits:repository-detail": repository(get=VIEWER),
    "audits:repository-edit": repository(get=ADMIN, post=ADMIN),
    "audits:repository-delete": repository(get=ADMIN, post=ADMIN),
    "audits:member-list": repository(get=VIEWER),
    "audits:member-put": repository(post=ADMIN),
    "audits:member-remove": repository(post=ADMIN),
    "audits:audit-now": repository(post=EDITOR),
    "audits:violation-list": repository(get=VIEWER),
    "audits:violation-detail": Route("violation", get=VIEWER),
    "audits:violation-accept": Route("violation", get=EDITOR, post=EDITOR),
    "audits:violation-waivers": repository(get=VIEWER),
    "audits:waiver-end": Route("waiver", post=EDITOR),
    "audits:history": repository(get=VIEWER),
    "audits:audit-history": repository(post=EDITOR),
    "audits:hot-spots": repository(get=VIEWER),
    "audits:repository-score": repository(get=VIEWER),
    "audits:move-list": repository(get=VIEWER),
    "audits:duplicate-list": repository(get=VIEWER),
    "audits:duplicate-find": repository(post=EDITOR),
    "audits:duplicate-group": Route("repository", get=VIEWER, arguments=(("key", "x"),), may_lack=True),
    "audits:connections": repository(get=ADMIN),
    "audits:push-secret": repository(post=ADMIN),
    "audits:channel-add": repository(post=ADMIN),
    "audits:channel-change": Route("channel", post=ADMIN),
    "audits:delivery-replay": Route("delivery", post=ADMIN),
    "audits:badges": repository(post=ADMIN),
    "audits:policy": repository(get=VIEWER, post=ADMIN),
    "audits:policy-check": repository(post=ADMIN),
    "audits:policy-preview": repository(post=ADMIN),
    "audits:policy-suggest": repository(post=ADMIN),
    "audits:policy-inquiry": Route("repository", get=ADMIN, arguments=(("pk", 1),), may_lack=True),
    "audits:policy-version": Route("repository", get=VIEWER, arguments=(("number", 1),)),
    "audits:policy-restore": Route("repository", post=ADMIN, arguments=(("number", 1),)),
    "audits:rule-list": Route(get=VIEWER),
    "audits:rule-detail": Route(get=VIEWER, arguments=(("rule", "missing-member"),)),
    "audits:commit-detail": Route("commit", get=VIEWER),
    "audits:issue-new": repository(get=EDITOR, post=EDITOR),
    "audits:tracker-list": repository(get=VIEWER),
    "audits:tracker-paste": repository(post=EDITOR),
    "audits:tracker": Route("tracker", get=VIEWER),
    "audits:tracker-issue": Route("tracker", post=EDITOR),
    "audits:test-run-list": repository(get=VIEWER),
    "audits:test-run-upload": repository(post=EDITOR),
    "audits:test-run-compare": repository(get=VIEWER),
    "audits:test-command": repository(get=SUPERUSER, post=SUPERUSER),
    "audits:test-execute": repository(post=SUPERUSER),
    "audits:test-execution": Route("execution", get=SUPERUSER),
    "audits:test-run": Route("run", get=VIEWER),
    "audits:test-run-report": Route("run", get=VIEWER),
    "audits:test-detail": Route("test", get=VIEWER),
    "audits:issue-list": Route(get=VIEWER),
    "audits:issue": Route("issue", get=VIEWER),
    "audits:issue-edit": Route("issue", get=EDITOR, post=EDITOR),
    "audits:issue-subjects": Route("issue", post=EDITOR),
    "audits:issue-note": Route("issue", post=VIEWER),
    "audits:issue-judge": Route("issue", post=EDITOR),
    "audits:issue-json": Route("issue", get=VIEWER),
    "audits:issue-report": Route("issue", get=VIEWER),
    "audits:issue-tracker": Route("issue", get=VIEWER),
    "audits:audit-list": Route(get=VIEWER),
    "audits:audit-detail": Route("audit", get=VIEWER),
    "audits:audit-cancel": Route("audit", post=EDITOR),
    "audits:audit-retry": Route("audit", post=EDITOR),
    "ids:type-list": Route(get=VIEWER),
    "ids:type-detail": Route(get=VIEWER, arguments=(("value", "user"),)),
    "ids:type-add": Route(get=ADMIN, post=ADMIN),
    "ids:type-edit": Route(get=ADMIN, post=ADMIN, arguments=(("value", "user"),)),
    "ids:explore": Route(get=VIEWER, post=VIEWER),
    "ids:legacy-list": Route(get=VIEWER),
    "ids:legacy-add": Route(get=ADMIN, post=ADMIN),
    "ids:legacy-detail": Route(get=VIEWER, arguments=(("pk", 1),), may_lack=True),
    "ids:legacy-edit": Route(get=ADMIN, post=ADMIN, arguments=(("pk", 1),), may_lack=True),
    "ids:registry-file": Route(get=VIEWER, arguments=(("suffix", "json"),)),
    "account": Route(get=VIEWER),
    "sign-out-everywhere": Route(post=VIEWER),
    "people": Route(get=ADMIN),
    "people-invite": Route(post=ADMIN),
    "activity": Route(get=ADMIN),
    "logout": Route(post=VIEWER),
    "password-change": Route(get=VIEWER, post=VIEWER),
    "token-list": Route(get=VIEWER, post=VIEWER),
    "api-page": Route(get=VIEWER),
    "metrics": Route(get=ADMIN),
    "operations": Route(get=ADMIN),
    "api:openapi-json": Route(get=VIEWER, post=VIEWER),
}
# Where one signs in: for everybody.
OPEN = {"login", "welcome", "admin:login", "invitation", "oidc-begin", "oidc-back"}
# What knows its callers by other means: signed messages of git servers, and badges where a repository shows them.
FOR_STRANGERS = {"audits:push-hook", "audits:badge"}
# Routes that answer nothing of their own, and what is about one person (test_api.py, test_people.py).
EMPTY = {"api:api-root"}
PERSONAL = {"token-revoke", "person-role", "person-link", "person-active", "person-sign-out"}
# Django's own pages: for staff, with the permissions of the tables, which are these.
ADMIN_TABLES = {
    "audits.audit",
    "audits.repository",
    "auth.group",
    "auth.user",
    "ids.idtype",
    "ids.issuedid",
    "ids.legacyformat",
}


@dataclass(frozen=True)
class Operation:
    """An operation of the API. ``need``: the role of the token's user in the repository, or everywhere."""

    scope: str
    of: str = ""
    need: int = VIEWER
    query: str = ""
    body: object = None


READ = "audits:read"
OPERATIONS = {
    "GET /api/v1/repositories": Operation(READ),
    "GET /api/v1/repositories/{slug}": Operation(READ, "repository"),
    "POST /api/v1/repositories/{slug}/audits": Operation("audits:write", "repository", EDITOR, body={}),
    "GET /api/v1/repositories/{slug}/violations": Operation(READ, "repository"),
    "GET /api/v1/repositories/{slug}/issues": Operation(READ, "repository"),
    "GET /api/v1/repositories/{slug}/test-runs/compare": Operation(
        READ, "repository", query="before=1&after=2"
    ),
    "POST /api/v1/repositories/{slug}/test-runs": Operation("test-runs:write", "repository", EDITOR),
    "GET /api/v1/repositories/{slug}/test-runs": Operation(READ, "repository"),
    "GET /api/v1/audits/{audit_id}": Operation(READ, "audit"),
    "GET /api/v1/audits/{audit_id}/findings": Operation(READ, "audit"),
    "GET /api/v1/audits/{audit_id}/verdict": Operation(READ, "audit", query=f"against={'a' * 40}"),
    "GET /api/v1/test-runs/{run_id}": Operation(READ, "run"),
    "GET /api/v1/issues/{issue_id}": Operation(READ, "issue"),
    "GET /api/v1/ids/types": Operation("ids:read"),
    "GET /api/v1/ids/types/export": Operation("ids:read", query="format=python"),
    "GET /api/v1/ids/stats": Operation("ids:read"),
    "GET /api/v1/ids/count": Operation("ids:read"),
    "GET /api/v1/ids/issued": Operation("ids:read", query="type=user"),
    "GET /api/v1/ids/issued/{identifier}": Operation("ids:read"),
    "GET /api/v1/ids/purge-preview": Operation("ids:read"),
    "POST /api/v1/ids/validate": Operation("ids:read", body={"ids": ["user_1_00c0ffee"]}),
    "POST /api/v1/ids/explain": Operation("ids:read", body={"ids": ["user_1_00c0ffee"]}),
    "POST /api/v1/ids/normalise": Operation("ids:read", body={"ids": ["user_1_00c0ffee"]}),
    "POST /api/v1/ids/generate": Operation("ids:write", need=EDITOR, body={"type": "user"}),
    "POST /api/v1/ids/generate-many": Operation("ids:write", need=EDITOR, body={"type": "user", "count": 2}),
    "POST /api/v1/ids/related": Operation("ids:write", need=EDITOR, body={}),
    "POST /api/v1/ids/register": Operation("ids:write", need=EDITOR, body={"id": "user_1_00c0ffee"}),
    "POST /api/v1/ids/register-many": Operation("ids:write", need=EDITOR, body={"items": []}),
    "POST /api/v1/ids/release": Operation("ids:write", need=EDITOR, body={"id": ""}),
    "POST /api/v1/ids/release-many": Operation("ids:write", need=EDITOR, body={"ids": []}),
    "POST /api/v1/ids/release-owner": Operation("ids:write", need=EDITOR, body={"owner": "nobody"}),
    "POST /api/v1/ids/from-uuids": Operation("ids:write", need=EDITOR, body={"uuids": [], "type": "user"}),
    "POST /api/v1/ids/to-uuids": Operation("ids:write", need=EDITOR, body={"ids": []}),
    "POST /api/v1/leases": Operation("ids:write", need=EDITOR, body={"type": "user", "size": 0}),
    "POST /api/v1/leases/report": Operation("ids:write", need=EDITOR, body={"reports": []}),
}

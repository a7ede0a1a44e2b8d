#!/usr/bin/env python3
"""Has SSOT Dash judge a commit in a CI job, and fails on what is new. Python's standard library only: copy this file.

    SSOT_URL=https://ssot.example.org SSOT_TOKEN=ssot_... \\
        python3 ssot_ci.py shop --commit "$SHA" --against "$BASE_SHA" --report report.xml

Uploads test reports (if any), audits the commit and the one that it is compared with, waits, prints what is new, and
compares the test run with the newest one of the compared commit. Without ``--against``: with the audited branch.

Exit status: 0 nothing new, 1 new violations or tests that broke, 2 the site could not be asked or could not look.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid

POLL_SECONDS = 2


class Failed(Exception):
    """Something that the job's log has to say."""


class Site:
    def __init__(self, url: str, token: str) -> None:
        self.base = url.rstrip("/") + "/api/v1"
        self.token = token

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> dict:
        request = urllib.request.Request(self.base + path, body, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", kind)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            try:
                words = json.load(error).get("message", "")
            except ValueError:
                words = ""
            raise Failed(f"{method} {path}: {error.code} {words}") from error
        except OSError as error:
            raise Failed(f"{self.base} can't be reached: {error}") from error

    def upload(self, slug: str, path: str, commit: str, branch: str) -> dict:
        boundary = uuid.uuid4().hex
        with open(path, "rb") as file:
            data = file.read()
        fields = {"commit": commit, "branch": branch}
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        name = os.path.basename(path).replace('"', "")
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="report"; filename="{name}"\r\n'
        body = f"{head}\r\n".encode() + data + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", f"/repositories/{slug}/test-runs", body, kind)

    def audit(self, slug: str, commit: str, deadline: float) -> dict:
        """The finished audit of a commit. A repository has one in flight at a time, which may be another one's."""
        while True:
            audit = self.ask("POST", f"/repositories/{slug}/audits", json.dumps({"rev": commit}).encode())
            audit = self.wait(f"/audits/{audit['id']}", {"succeeded", "failed", "cancelled"}, deadline)
            if audit["commit"] == commit or (audit["rev"] == commit and audit["state"] != "succeeded"):
                if audit["state"] != "succeeded":
                    raise Failed(f"the audit of {commit[:9]} {audit['state']}: {audit['error'] or ''}")
                return audit

    def wait(self, path: str, states: set, deadline: float) -> dict:
        while True:
            found = self.ask("GET", path)
            if found["state"] in states:
                return found
            if time.monotonic() > deadline:
                raise Failed(f"{path} is still {found['state']}: gave up waiting")
            time.sleep(POLL_SECONDS)


def judge(site: Site, options: argparse.Namespace) -> bool:
    """Whether nothing is new."""
    deadline = time.monotonic() + options.seconds
    runs = [site.upload(options.repository, path, options.commit, options.branch) for path in options.report]
    if options.against:
        site.audit(options.repository, options.against, deadline)
    audit = site.audit(options.repository, options.commit, deadline)
    against = options.against or "branch"
    verdict = site.ask("GET", f"/audits/{audit['id']}/verdict?against={against}")
    base = verdict["base_commit"][:9]
    for finding in verdict["new"]:
        place = f"{finding['path']}:{finding['line']}"
        print(f"NEW {finding['severity']} {place}: {finding['message']}. {finding['hint']}".rstrip())
    print(f"{verdict['new_count']} new, {verdict['gone_count']} gone since {base}: {verdict['url']}")
    if verdict["problems"]:
        print(f"{verdict['problems']} files or rules could not be looked at: see there.")
    is_good = verdict["new_count"] == 0
    for run in runs:
        is_good &= compare(site, options, run, deadline)
    return is_good


def compare(site: Site, options: argparse.Namespace, run: dict, deadline: float) -> bool:
    run = site.wait(f"/test-runs/{run['id']}", {"read", "failed"}, deadline)
    if run["state"] == "failed":
        raise Failed(f"{run['name']} can't be read: {run['error']}")
    query = f"commit={options.against}" if options.against else ""
    earlier = site.ask(
        "GET", f"/repositories/{options.repository}/test-runs?{query}&before={run['id']}&limit=1"
    )
    if not earlier["items"]:
        print(f"{run['name']}: {run['tests']} tests; no earlier run to compare with.")
        return True
    before = earlier["items"][0]["id"]
    path = f"/repositories/{options.repository}/test-runs/compare?before={before}&after={run['id']}"
    found = site.ask("GET", path)
    for kind in ("broken", "silenced", "vanished"):
        for change in found["changes"][kind]:
            print(f"{kind.upper()} {change['test']} {change['reason']}".rstrip())
    print(
        f"{run['name']}: {run['tests']} tests, {'REGRESSIONS' if found['regressions'] else 'no regression'}: {run['url']}"
    )
    return not found["regressions"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("repository", help="its short name, as it stands in its address")
    parser.add_argument("--commit", required=True, help="the full id of the commit that is built")
    parser.add_argument(
        "--against", default="", help="the full id of the commit to compare with: the merge base"
    )
    parser.add_argument("--branch", default="")
    parser.add_argument("--report", action="append", default=[], help="a JUnit file; repeat for several")
    parser.add_argument("--seconds", type=float, default=900, help="how long to wait (default: 900)")
    options = parser.parse_args()
    try:
        site = Site(os.environ["SSOT_URL"], os.environ["SSOT_TOKEN"])
    except KeyError as missing:
        print(f"Set {missing.args[0]}.", file=sys.stderr)
        return 2
    try:
        return 0 if judge(site, options) else 1
    except (Failed, OSError) as error:
        print(f"SSOT Dash: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""The policy that a repository brings itself: ``.ssot.toml`` of the audited tree."""

from audits.engine.git import Commit, Entry, GitRepository, Staged
from audits.engine.policy import MAX_POLICY_CHARACTERS, Policy, PolicyError, parse_policy

TREE_FILE = ".ssot.toml"
# A character of UTF-8 has at most four bytes.
_MAX_BYTES = 4 * MAX_POLICY_CHARACTERS


def policy_in_tree(git: GitRepository, what: Commit | Staged) -> Policy:
    """The policy of a commit, or of what is staged, by its own file. Raises ``PolicyError``, which names the line,
    also when there is no such file: that isn't the default policy."""
    text = text_in_tree(git, what)
    try:
        return parse_policy(text)
    except PolicyError as error:
        raise _in_tree(what, f": {error}", error.line) from error


def policy_or_default(git: GitRepository, what: Commit | Staged) -> Policy:
    """The same, and the default policy where the tree has no such file. One that can't be used is an error."""
    return Policy() if _entry(git, what) is None else policy_in_tree(git, what)


def text_in_tree(git: GitRepository, what: Commit | Staged) -> str:
    """The text of ``.ssot.toml``. Raises ``PolicyError`` when there is none that can be read."""
    entry = _entry(git, what)
    if entry is None:
        words = " is not there: add it, or keep the policy of this repository on the dashboard"
        raise _in_tree(what, words)
    if entry.kind != "file":
        raise _in_tree(what, f" is a {entry.kind}, expected a file")
    size = git.size(entry.sha)
    if size is not None and size > _MAX_BYTES:
        raise _in_tree(
            what, f" has {size:,} bytes; a policy has at most {MAX_POLICY_CHARACTERS:,} characters"
        )
    data = git.blob(entry.sha)
    if data is None:
        raise _in_tree(what, " can't be read: this copy of the repository lacks its contents")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _in_tree(what, f": line {line}: expected UTF-8", line) from error


def _entry(git: GitRepository, what: Commit | Staged) -> Entry | None:
    if isinstance(what, Commit):
        return git.entry(what.sha, TREE_FILE)
    return next((entry for entry in what.entries if entry.path == TREE_FILE), None)


def _in_tree(what: Commit | Staged, words: str, line: int = 0) -> PolicyError:
    where = f"of commit {what.sha[:9]}" if isinstance(what, Commit) else "as it is staged"
    error = PolicyError(f"{TREE_FILE} {where}{words}")
    error.line = line
    return error

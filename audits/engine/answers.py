"""Remembered answers about a tree, and what each of them depends on.

An answer depends on *inputs* (what a file shows to others, which file stands at a stem) and on other answers. When the
tree changes, only those answers are asked for again that an input reaches; where one comes out as before, whatever
depends on it stays as it is, too. So a change of a module that a thousand files import costs a few lookups when none
of the names that they use means anything else now.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

# An input is a text. An answer is a tuple: its kind, and what was asked.
Key = str | tuple[Any, ...]


class Answers:
    """Answers by key.

    *Lasting* answers are of a registered kind, so they can be asked for again. *Passing* ones only save work until
    ``forget``; what they depend on counts as if it was asked directly. Keys of other kinds are *ends*: whoever asks,
    such as the findings of a file; some of them are *final* answers, which last until ``lose``. While ``trace`` is
    None nothing is noted: nobody will change the tree. Where ``inputs_noted`` is used, all answers count as passing:
    it is inputs alone that are noted.
    """

    def __init__(self) -> None:
        self.trace: set[Key] | None = None
        self._notes_inputs = False
        self._known: dict[Key, Any] = {}
        self._kinds: dict[str, Callable[..., Any]] = {}
        self._needs: dict[Key, set[Key]] = {}
        self._needed_by: dict[Key, set[Key]] = {}
        # None where nothing was noted.
        self._passing: dict[Key, tuple[Key, ...] | None] = {}
        # Answers that may be others now, as they were before.
        self._doubtful: dict[Key, Any] = {}

    def register(self, kind: str, ask: Callable[..., Any]) -> None:
        """Makes answers of a kind lasting. ``ask`` gives one anew and keeps it; it must not fail when what it is
        asked about is gone."""
        self._kinds[kind] = ask

    @contextmanager
    def inputs_noted(self, inputs: set[str]) -> Iterator[None]:
        """Meanwhile all inputs are added that any answer depends on, however far away."""
        self._notes_inputs = True
        self.trace = cast("set[Key]", inputs)
        try:
            yield
        finally:
            self.trace = None

    def use(self, key: str) -> None:
        """Notes that an input is used."""
        if self.trace is not None:
            self.trace.add(key)

    # --- while answers are worked out --------------------------------------------------------------------------

    def recall(self, key: Key) -> Any:
        """A remembered answer, which counts as used; None when there is none."""
        found = self._known.get(key)
        if found is not None and self.trace is not None:
            if key[0] in self._kinds and not self._notes_inputs:
                self.trace.add(key)
                return found
            passing = self._passing.get(key)
            if passing is not None:
                self.trace.update(passing)
            elif self._notes_inputs:
                return None  # given while nothing was noted
            else:
                self.trace.add(key)
        return found

    def recall_all(self, keys: Sequence[Key]) -> Sequence[Any]:
        """Remembered answers of lasting kinds, None where there is none; all count as used, those who have to be asked
        for, too."""
        if self._notes_inputs:
            return [self.recall(key) for key in keys]
        if self.trace is not None:
            self.trace.update(keys)
        return [*map(self._known.get, keys)]

    def recall_final(self, key: Key) -> Any:
        """A remembered answer that is an end; None when there is none."""
        return self.recall(key) if self._notes_inputs else self._known.get(key)

    def begin(self) -> set[Key] | None:
        """Begins an answer; ``keep``, ``keep_final``, ``keep_passing`` or ``drop`` take what this returns."""
        outer = self.trace
        if outer is not None:
            self.trace = set()
        return outer

    def keep(self, outer: set[Key] | None, key: Key, answer: Any) -> None:
        """Ends an answer that lasts."""
        self._known[key] = answer
        inner = self.trace
        if outer is not None and inner is not None:
            if self._notes_inputs:
                self._passing[key] = tuple(inner)
                outer |= inner
            else:
                self.note(key, inner)
                outer.add(key)
            self.trace = outer

    def keep_final(self, outer: set[Key] | None, key: Key, answer: Any) -> None:
        """Ends an answer that is an end: whoever asks for it doesn't depend on it, and is told when it has to go."""
        if self._notes_inputs:
            self.keep(outer, key, answer)
            return
        self._known[key] = answer
        if outer is not None and self.trace is not None:
            self.note(key, self.trace)
            self.trace = outer

    def keep_passing(self, outer: set[Key] | None, key: Key, answer: Any) -> None:
        """Ends an answer that is forgotten soon."""
        self._known[key] = answer
        self._passing[key] = tuple(self.trace) if self.trace is not None else None
        self.drop(outer)

    def drop(self, outer: set[Key] | None) -> None:
        """Ends an answer that isn't remembered."""
        if outer is not None and self.trace is not None:
            outer |= self.trace
            self.trace = outer

    def note(self, key: Key, needs: set[Key]) -> None:
        """Says what an answer or an end depends on."""
        before = self._needs.get(key, _NONE)
        if before == needs:
            return
        for need in before - needs:
            self._needed_by[need].discard(key)
        for need in needs - before if before else needs:
            users = self._needed_by.get(need)
            if users is None:
                self._needed_by[need] = {key}
            else:
                users.add(key)
        if needs:
            self._needs[key] = needs
        else:
            self._needs.pop(key, None)

    # --- when the tree has changed -----------------------------------------------------------------------------

    def doubt(self, inputs: Iterable[str]) -> set[Key]:
        """Forgets the lasting answers that changed inputs can reach; answers the ends that depend on such an input
        itself."""
        ends: set[Key] = set()
        pending: list[Key] = list(inputs)
        while pending:
            key = pending.pop()
            for user in self._needed_by.get(key, ()):
                if user[0] in self._kinds:
                    if user in self._known:
                        self._doubtful[user] = self._known.pop(user)
                        pending.append(user)
                elif isinstance(key, str):
                    ends.add(user)
        return ends

    def settle(self, kinds: Iterable[str] | None = None) -> set[Key]:
        """Asks again for the answers in doubt (of some kinds); answers the ends to which one is another than before."""
        wanted = self._kinds.keys() if kinds is None else set(kinds)
        ends: set[Key] = set()
        for key in [key for key in self._doubtful if key[0] in wanted]:
            before = self._doubtful.pop(key)
            users = self._needed_by.get(key)
            if not users:
                self._known.pop(key, None)
                self.note(key, set())
                self._needed_by.pop(key, None)
                continue
            now = self._known.get(key)
            if now is None:
                self.trace = set()
                now = self._kinds[key[0]](*key[1:])
                self.trace = None
            if now != before:
                ends.update(user for user in users if user[0] not in self._kinds)
        return ends

    def lose(self, key: Key) -> Any:
        """Forgets a final answer; gives what it was, None when there was none."""
        return self._known.pop(key, None)

    def forget(self) -> None:
        """Forgets the passing answers."""
        for key in self._passing:
            self._known.pop(key, None)
        self._passing.clear()

    def forget_all(self) -> None:
        """Forgets every answer."""
        self._known.clear()
        self._passing.clear()
        self._doubtful.clear()

    def close(self) -> None:
        """Forgets who answers, too. They know of this, and this of them: a circle that only the cyclic collector would
        find, late, by walking through all facts of the tree."""
        self.forget_all()
        self._kinds.clear()


_NONE: frozenset[Key] = frozenset()

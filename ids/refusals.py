"""Why the service refuses: one exception for each reason, with a stable code and a message that names what is wrong."""


class MintingError(Exception):
    """Something was refused, and nothing was done.

    ``code`` is stable and names why. ``limit`` is the bound that was passed, where there is one, and ``received`` what
    came instead. ``row`` is the place (from 0) of the culprit in a batch.
    """

    code = "minting-error"

    def __init__(
        self,
        message: str,
        limit: int | None = None,
        *,
        received: int | str | None = None,
        row: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit
        self.received = received
        self.row = row

    def at(self, row: int) -> "MintingError":
        """The same refusal, said of one row of a batch."""
        return type(self)(f"Row {row}: {self.message}", self.limit, received=self.received, row=row)

    def alone(self) -> "MintingError":
        """The same refusal, where the batch was of one."""
        message = self.message.removeprefix(f"Row {self.row}: ")
        return type(self)(message, self.limit, received=self.received)


class UnknownType(MintingError):
    """The registry has no such type. The message names the nearest one."""

    code = "unknown-type"


class RetiredType(MintingError):
    """The type is retired: its issued IDs stay valid, and no new ones are issued."""

    code = "retired-type"


class InvalidPrefix(MintingError):
    """The prefix is outside the grammar of the type's format."""

    code = "invalid-prefix"


class InvalidContext(MintingError):
    """The context is not a JSON object that PostgreSQL can hold, or it is too large or too deep."""

    code = "invalid-context"


class InvalidOwner(MintingError):
    """An owner or issuer is text of at most 100 characters, without control characters."""

    code = "invalid-owner"


class InvalidCount(MintingError):
    """A count is a whole number from 1 to the limit."""

    code = "invalid-count"


class InvalidID(MintingError):
    """The text is an ID of no format, or of another type than was said."""

    code = "invalid-id"


class UnknownParent(MintingError):
    """The registry has no such ID, so nothing can be inside it."""

    code = "unknown-parent"


class NotIssued(MintingError):
    """The registry has no record of this ID."""

    code = "not-issued"


class AlreadyIssued(MintingError):
    """The registry has this ID already, perhaps as a released one: it is not taken again."""

    code = "already-issued"


class AlreadyReleased(MintingError):
    """The ID was released before."""

    code = "already-released"


class NotOwner(MintingError):
    """The ID belongs to another owner. Owners are compared whole, never by how they begin."""

    code = "not-owner"


class UnknownLease(MintingError):
    """There is no such lease of this caller's."""

    code = "unknown-lease"


class NotCounted(MintingError):
    """The type's format has no counter, so there is nothing to lease."""

    code = "not-counted"


class NotTracked(MintingError):
    """IDs of the type are counted and not recorded, so there is no record to make."""

    code = "not-tracked"


class InvalidReport(MintingError):
    """A report of use does not fit its lease."""

    code = "invalid-report"


class KeyReused(MintingError):
    """The idempotency key came before, with another request."""

    code = "idempotency-key-reused"


class InvalidKey(MintingError):
    """An idempotency key is 1 to 200 printable ASCII characters."""

    code = "invalid-idempotency-key"


class UnsafeDatabase(MintingError):
    """``synchronous_commit`` is off: a crash could take a committed lease back, and its counters would come twice."""

    code = "unsafe-database"


class CounterBehind(MintingError):
    """The type's counter is not above its issued IDs, as after a partial restore: the next IDs would be duplicates."""

    code = "counter-behind"


class CountersExhausted(MintingError):
    """The type has no counter left below the largest that the format can hold."""

    code = "counters-exhausted"


class LeaseUnavailable(MintingError):
    """The database could not lease counters now; nothing was issued. Trying again later is safe."""

    code = "lease-unavailable"


class DeprecatedTypeWarning(UserWarning):
    """An ID of a deprecated type was issued."""

"""What is sent to the registry's side of the API, and what it answers.

What is sent is plain pydantic, and so is what is answered once for a key: ninja's own Schema, which reads the rows and
values of the services, would cost a request that issues one ID a good part of its time.
"""

from datetime import datetime
from typing import Annotated, Any

from ninja import Header, Schema
from pydantic import BaseModel, Field

READ = {"x-scope": "ids:read"}
WRITE = {"x-scope": "ids:write"}

# Wide bounds, for a short answer to nonsense; the services say which narrower ones hold, and why.
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Key = Annotated[str | None, Header(None, alias="Idempotency-Key", max_length=1_000)]


# --- sent -------------------------------------------------------------------------------------------------------------


class KeptIn(BaseModel):
    """What is kept with an ID: a JSON object of at most 16 kB, whose it is, and which ID it is inside of."""

    context: dict[str, Any] | None = None
    owner: Text = ""
    parent: Text | None = None


class GenerateIn(KeptIn):
    type: Word
    prefix: Text | None = None


class GenerateManyIn(GenerateIn):
    """``count`` is at most 10,000."""

    count: Whole


class RelatedIn(BaseModel):
    context: dict[str, Any] | None = None
    owner: Text = ""
    thread: Text | None = None


class RegisterIn(KeptIn):
    """``type`` may be left out where the ID says it."""

    id: Text
    type: Word | None = None


class RegisterManyIn(BaseModel):
    """At most 10,000, all or none: the error's ``row`` is the place of the first one that is refused, from 0."""

    items: list[RegisterIn]


class ReleaseIn(BaseModel):
    """With ``owner`` only an ID of exactly that owner is released."""

    id: Text
    owner: Text | None = None


class ReleaseManyIn(BaseModel):
    ids: list[Text]
    owner: Text | None = None


class OwnerIn(BaseModel):
    owner: Text


class IdsIn(BaseModel):
    ids: list[Text]


class ValidateIn(BaseModel):
    """With ``type`` each is asked to be an ID of that type; at most 10,000."""

    ids: list[str]
    type: Word | None = None


class FromUuidIn(BaseModel):
    uuids: list[Text]
    type: Word
    owner: Text = ""


class LeaseIn(BaseModel):
    """``size`` is at most 100,000."""

    type: Word
    size: Whole = 100


class DetailIn(KeptIn):
    counter: Whole
    prefix: Text | None = None


class ReportIn(BaseModel):
    """The first ``used`` counters of the lease were handed out; ``details`` are of those of which something is kept."""

    lease: Word
    used: Whole
    details: list[DetailIn] = []


class ReportsIn(BaseModel):
    reports: list[ReportIn]


# --- answered ---------------------------------------------------------------------------------------------------------


class WarnedOut(BaseModel):
    """``warning`` is there when the type is deprecated: its IDs are issued still, and will be refused some day."""

    warning: str | None = None


class IssuedOut(WarnedOut):
    id: str


class IdsOut(WarnedOut):
    ids: list[str]


class RelatedOut(WarnedOut):
    thread: str
    run: str
    request: str


class RegisteredOut(BaseModel):
    """The type of each ID, in the order of the IDs."""

    types: list[str]


class CountOut(Schema):
    count: int


class LeaseOut(BaseModel):
    """``size`` counters from ``start`` on. The n-th's random part is the n-th 8 digits of SHAKE-128 of the seed."""

    lease: str
    type: str
    start: int
    size: int
    seed: str
    deprecated: bool


class TypeOut(Schema):
    value: str
    status: str
    description: str


class RecordOut(Schema):
    """What the registry knows of an ID. ``issuer`` is who asked for it."""

    id: str
    type: str
    state: str
    prefix: str
    owner: str
    issuer: str
    parent: str | None
    issued_at: datetime
    released_at: datetime | None
    context: dict[str, Any]


class PageOut(Schema):
    """``next`` is the cursor of the next page, None after the last."""

    items: list[RecordOut]
    next: str | None


class AnswerOut(Schema):
    holds: bool
    says: str


class ValidationOut(Schema):
    """Three answers: well formed; an ID of the type; issued and active.

    ``state`` is issued, registered, released, leased (genuine, of a client's block, not reported yet) or unknown.
    """

    id: str
    type: str | None
    format: str | None
    state: str
    is_format: AnswerOut
    is_type: AnswerOut
    is_issued: AnswerOut


class PartOut(Schema):
    name: str
    text: str
    says: str


class ExplanationOut(Schema):
    validation: ValidationOut
    parts: list[PartOut]
    record: RecordOut | None
    children: list[str]
    closest: str | None
    says: str


class SpellingOut(Schema):
    """``normal`` is the one spelling, None where the text is no ID; then ``problem`` says why."""

    id: str
    normal: str | None
    problem: str | None


class FiguresOut(Schema):
    type: str
    status: str
    issued: int
    active: int
    released: int
    last_issued_at: datetime | None


class DueOut(Schema):
    type: str
    before: datetime
    records: int
    is_more: bool

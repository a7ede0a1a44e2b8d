"""The rows of the audit side, one file per noun."""

from audits.models.audit import (
    IN_FLIGHT,
    Audit,
    AuditProblem,
    BlobFacts,
    Covers,
    PartOffer,
    RememberedResult,
    State,
    Trigger,
)
from audits.models.duplicates import DuplicateReport
from audits.models.execution import TestCommand, TestExecution
from audits.models.history import Commit, Event, History, SubjectTrend
from audits.models.hook import Push
from audits.models.issue import (
    Issue,
    IssueNote,
    IssueReference,
    IssueSubject,
    Judgement,
    Priority,
)
from audits.models.notice import Channel, Delivery, Notice, NoticeEvent
from audits.models.policy import PolicyInquiry, PolicySource, PolicyVersion
from audits.models.registry import MemberUse, RegistryReading
from audits.models.repository import Membership, Repository, Role, SampleRemoval, Schedule
from audits.models.testrun import Test, TestReport, TestResult, TestRun
from audits.models.tracker import Claim, Tracker, TrackerScan, TrackerVersion
from audits.models.violation import Lifespan, Sighting, Violation
from audits.models.waiver import Waiver

__all__ = [
    "IN_FLIGHT",
    "Audit",
    "AuditProblem",
    "BlobFacts",
    "Channel",
    "Claim",
    "Commit",
    "Covers",
    "Delivery",
    "DuplicateReport",
    "Event",
    "History",
    "Issue",
    "IssueNote",
    "IssueReference",
    "IssueSubject",
    "Judgement",
    "Lifespan",
    "MemberUse",
    "Membership",
    "Notice",
    "NoticeEvent",
    "PartOffer",
    "PolicyInquiry",
    "PolicySource",
    "PolicyVersion",
    "Priority",
    "Push",
    "RegistryReading",
    "RememberedResult",
    "Repository",
    "Role",
    "SampleRemoval",
    "Schedule",
    "Sighting",
    "State",
    "SubjectTrend",
    "Test",
    "TestCommand",
    "TestExecution",
    "TestReport",
    "TestResult",
    "TestRun",
    "Tracker",
    "TrackerScan",
    "TrackerVersion",
    "Trigger",
    "Violation",
    "Waiver",
]

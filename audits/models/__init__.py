"""The rows of the audit side, one file per noun."""

from audits.models.audit import IN_FLIGHT, Audit, AuditProblem, BlobFacts, Covers, State, Trigger
from audits.models.history import Commit, Event, History
from audits.models.repository import Repository, SampleRemoval, Schedule
from audits.models.violation import Lifespan, Sighting, Violation

__all__ = [
    "IN_FLIGHT",
    "Audit",
    "AuditProblem",
    "BlobFacts",
    "Commit",
    "Covers",
    "Event",
    "History",
    "Lifespan",
    "Repository",
    "SampleRemoval",
    "Schedule",
    "Sighting",
    "State",
    "Trigger",
    "Violation",
]

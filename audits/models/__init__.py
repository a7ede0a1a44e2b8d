"""The rows of the audit side, one file per noun."""

from audits.models.audit import IN_FLIGHT, Audit, AuditProblem, BlobFacts, State, Trigger
from audits.models.repository import Repository, SampleRemoval, Schedule
from audits.models.violation import Lifespan, Sighting, Violation

__all__ = [
    "IN_FLIGHT",
    "Audit",
    "AuditProblem",
    "BlobFacts",
    "Lifespan",
    "Repository",
    "SampleRemoval",
    "Schedule",
    "Sighting",
    "State",
    "Trigger",
    "Violation",
]

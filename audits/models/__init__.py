"""The rows of the audit side, one file per noun."""

from audits.models.audit import Audit, AuditProblem, BlobFacts
from audits.models.repository import Repository
from audits.models.violation import Lifespan, Sighting, Violation

__all__ = ["Audit", "AuditProblem", "BlobFacts", "Lifespan", "Repository", "Sighting", "Violation"]

"""The tables, by who writes them; all of them are known once one is imported."""

from hemaline_cloud.database.schema.base import Base
from hemaline_cloud.database.schema.configuration import (
    ConfigurationDocument,
    ConfigurationReport,
)
from hemaline_cloud.database.schema.device_commands import DeviceCommand
from hemaline_cloud.database.schema.devices import (
    Device,
    DeviceBaseline,
    DeviceChange,
    DeviceFrames,
    DeviceHour,
)
from hemaline_cloud.database.schema.enrolment import DeviceCertificate, EnrolmentToken
from hemaline_cloud.database.schema.erasures import ErasedSlide, LegalHold, ObjectDeletion
from hemaline_cloud.database.schema.orders import Order, OrderLink, Patient, PatientWord
from hemaline_cloud.database.schema.people import (
    ApiToken,
    Grant,
    Identity,
    LocalAccount,
    LogInFailure,
    OidcLogIn,
    Person,
    Session,
)
from hemaline_cloud.database.schema.records import (
    AuditEvent,
    AuditSeal,
    DeadLetter,
    IdempotencyKey,
    OutboxEntry,
)
from hemaline_cloud.database.schema.results import (
    Bundle,
    BundleAppointment,
    CellPredictions,
    FieldPrediction,
    ResultRevision,
    TrialJudgement,
)
from hemaline_cloud.database.schema.review import (
    AddedCell,
    CellLabel,
    Comment,
    MorphologyAssessment,
    Reading,
    SeenCell,
    SeenField,
    Signature,
    SignedClasses,
    SitePolicy,
)
from hemaline_cloud.database.schema.slides import (
    Cell,
    FieldLook,
    FieldOfView,
    Frame,
    Slide,
    Work,
)

__all__ = [
    "AddedCell",
    "ApiToken",
    "AuditEvent",
    "AuditSeal",
    "Base",
    "Bundle",
    "BundleAppointment",
    "Cell",
    "CellLabel",
    "CellPredictions",
    "Comment",
    "ConfigurationDocument",
    "ConfigurationReport",
    "DeadLetter",
    "Device",
    "DeviceBaseline",
    "DeviceCertificate",
    "DeviceChange",
    "DeviceCommand",
    "DeviceFrames",
    "DeviceHour",
    "EnrolmentToken",
    "ErasedSlide",
    "FieldLook",
    "FieldOfView",
    "FieldPrediction",
    "Frame",
    "Grant",
    "IdempotencyKey",
    "Identity",
    "LegalHold",
    "LocalAccount",
    "LogInFailure",
    "MorphologyAssessment",
    "ObjectDeletion",
    "OidcLogIn",
    "Order",
    "OrderLink",
    "OutboxEntry",
    "Patient",
    "PatientWord",
    "Person",
    "Reading",
    "ResultRevision",
    "SeenCell",
    "SeenField",
    "Session",
    "Signature",
    "SignedClasses",
    "SitePolicy",
    "Slide",
    "TrialJudgement",
    "Work",
]

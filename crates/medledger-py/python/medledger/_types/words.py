"""Words that calls take and results hold."""

from typing import Literal

Role = Literal["hospital", "doctor", "nurse", "lab", "patient"]
"""What a member may do."""

Purpose = Literal[
    "TREAT",
    "ETREAT",
    "BTG",
    "CAREMGT",
    "COC",
    "HPAYMT",
    "HOPERAT",
    "HRESCH",
    "PUBHLTH",
    "PATRQT",
    "FAMRQT",
    "HLEGAL",
]
"""Why somebody reads: codes of HL7 v3 PurposeOfUse."""

Profile = Literal["unixfs-v1-2025", "unixfs-v0-2015", "kubo-cidv1"]
"""How a file is cut into blocks, and so which CID it has."""

Delivery = Literal["mailed", "queued", "waits", "pick-up", "none"]
"""How an access key reaches its owner; with "pick-up" the result holds it, once."""

State = Literal["accepted", "mined", "refused"]
"""How far a record has come."""

Scope = Literal["report", "reports", "collection"]
"""What a permission covers: a report, several, or all of a patient's at a hospital."""

Stage = Literal["unknown", "accepted", "mined", "final", "refused"]
"""The same, with what the hospitals made final and what is not known here."""

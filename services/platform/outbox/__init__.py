"""The outbox: what a transaction wants published is a row in it; relays publish, then delete.

`rows` is the table and its writing, `buckets` says which replica carries which keys, `relay` carries.
"""

from services.platform.outbox.relay import Observer, Relay, producer
from services.platform.outbox.rows import Lane, OutboxColumns, Outgoing, Row, append, columns, packed, waking
from services.platform.outbox.statements import appended

__all__ = [
    "Lane",
    "Observer",
    "OutboxColumns",
    "Outgoing",
    "Relay",
    "Row",
    "append",
    "appended",
    "columns",
    "packed",
    "producer",
    "waking",
]

"""The views of a member's database → entries: polled, written down with the position, again and again.

    look      the numbers of what was written or changed since the position, less the overlap (transport/view_reader.py)
    record    all rows of each such number: a report is never split over two entries
    compare   with the digest of what was taken last: the same is not taken again, a changed one is
    parents   the order, visit and person that its numbers lead to, so that the entry can be translated alone
    write     entries, digests and position in one transaction of the journal

A crash anywhere repeats a look, never an entry. A row that is gone is not taken for a cancelled one: a member cancels
with its flag, and that is a changed row.
"""

from gateway.polling.poller import Poller

__all__ = ["Poller"]

"""Imports organizations with their domains, other names and members from a CSV file. Entry point: import_file.

The file has the columns external_id and name, and any of these: country (a code or a name), vertical, is_partner,
origin, status (open or closed), domains, other_names, members, users, active_users, active_subscriptions,
last_activity.

domains, other_names and members have any number of parts, separated by "|". A part may begin with its kind and a
colon: "verified:contoso.com|claimed:contoso.de", "former:Fabrikam|acronym:CTS",
"full:ada@contoso.com|user:bob@contoso.com". Without a kind a domain is verified, a name is a trading name, and a member
is a user. The kind "removed" removes the part, whoever added it. A domain that was used before is
"former:fabrikam.com"; the year or the day until when it was used may follow: "former:fabrikam.com@2022" or
"former:fabrikam.com@2022-06-30".

users, active_users, active_subscriptions and last_activity are statistics of other systems. active_subscriptions does
not include subscriptions that were set up here. last_activity is a date or a time in ISO 8601.

Organizations are identified by external_id. What the file doesn't contain is kept, and a second run changes nothing.
With --remove-missing the file is the complete list: organizations with an external id that aren't in it are closed.
Domains, other names and members that an earlier import added and that the file doesn't contain are removed, if the file
has their column. What people entered is kept: organizations without an external id, what the order desk typed, and
rights that were given by request. A member with such a right who isn't in the file keeps that right, and nothing else.
Where a person and a file both added a part, the file decides. The finder doesn't find closed organizations; their
orders are kept.

Rows are merged in small transactions. An import that ends early has committed the rows that it reports, and the next
run continues.
"""

from orgs.importing.importer import import_file
from orgs.importing.report import Report
from orgs.importing.rows import COLUMNS, REQUIRED

__all__ = ["COLUMNS", "REQUIRED", "Report", "import_file"]

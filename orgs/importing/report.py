"""What an import did: counts of rows, refused lines, and how the file was read."""

from __future__ import annotations

from dataclasses import dataclass, field

from orgs.text.table_files import RefusedRow


@dataclass
class Report:
    """Counts of one import, filled in while it runs. Counts are rows of the table that the field names."""

    rows: int = 0
    made: int = 0  # new organizations
    changed: int = 0  # organizations whose own columns differed
    unchanged: int = 0  # file rows that are equal to what the directory has, with domains, other names and members
    closed: int = 0
    reopened: int = 0
    domains: int = 0  # made or changed
    other_names: int = 0
    members: int = 0
    removed_domains: int = 0
    removed_other_names: int = 0
    removed_members: int = 0
    retried: int = 0  # transactions that were tried again after a lock timeout, a deadlock or a unique violation
    not_removed: str = ""  # why rows that are missing from the file were not removed, "" if they were
    refused: list[RefusedRow] = field(default_factory=list)
    read_as: str = ""  # the file's encoding and separator

    @property
    def organizations(self) -> int:
        """Organizations made or changed."""
        return self.made + self.changed

    @property
    def written(self) -> int:
        """Rows of all tables that were made, changed or removed."""
        return (
            self.organizations + self.closed + self.reopened + self.domains + self.other_names + self.members
            + self.removed_domains + self.removed_other_names + self.removed_members
        )  # fmt: skip

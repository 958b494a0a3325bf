"""Splink as a peer of the finder: links all questions with the directory in one batch, by its DuckDB backend.

``tests/bench/requirements.txt`` installs Splink; if it is not installed, this peer is left out. The model follows
Splink's documentation: the prior from the size of the directory, u from random pairs, m by expectation maximization.
Nothing is fitted to the answers. The input is the finder's keys of names and other names.
"""

from __future__ import annotations

import csv
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.db import connection

from orgs.finder.evaluation.benchmark import Question
from orgs.finder.feature_inputs import domain_country
from orgs.text import normalize

SECONDS: Final = 300
MEMORY: Final = "12GB"

# A row for each pair of a name and a domain of an organization, because Splink compares single values.
_DIRECTORY: Final = """COPY (
    SELECT row_number() OVER (), known.id, NULLIF(known.name_key, ''), NULLIF(d.registrable, ''), NULLIF(d.label, ''),
           NULLIF(known.country, '')
      FROM (SELECT id, name_key, country FROM orgs_organization
             UNION SELECT o.id, n.name_key, o.country
                     FROM orgs_othername n JOIN orgs_organization o ON o.id = n.organization_id) known
      LEFT JOIN orgs_domain d ON d.organization_id = known.id
) TO STDOUT WITH (FORMAT csv)"""
_COLUMNS: Final = (
    "{'unique_id': 'BIGINT', 'organization': 'BIGINT', 'name': 'VARCHAR', 'registrable': 'VARCHAR', "
    "'label': 'VARCHAR', 'country': 'VARCHAR'}"
)
# Blocking keys: the first five characters of the name, its two rarest words in the directory; for training, whether
# only one organization has the domain.
_PREPARED: Final = """CREATE TABLE {table} AS
    SELECT read.*, left(name, 5) AS start, rare, alone FROM read_{table} read
      LEFT JOIN (SELECT unique_id, list(word ORDER BY many, word)[1:2] AS rare
                   FROM (SELECT DISTINCT unique_id, unnest(string_split(name, ' ')) AS word FROM read_{table})
                   JOIN word USING (word) GROUP BY unique_id) USING (unique_id)
      LEFT JOIN (SELECT registrable, true AS alone FROM read_directory
                  GROUP BY registrable HAVING count(DISTINCT organization) = 1) USING (registrable)"""
_WORDS: Final = """CREATE TABLE word AS SELECT word, count(*) AS many
    FROM (SELECT unnest(string_split(name, ' ')) AS word FROM read_directory) GROUP BY word"""
_BEST: Final = """SELECT * FROM (
    SELECT unique_id_l, organization_r, max(match_weight) AS weight FROM {pairs} GROUP BY unique_id_l, organization_r
) QUALIFY row_number() OVER (PARTITION BY unique_id_l ORDER BY weight DESC, organization_r) <= 5
    ORDER BY unique_id_l, weight DESC, organization_r"""


class LeftOutError(Exception):
    """Splink can't be measured here. The message is a sentence that says why."""


@dataclass(frozen=True)
class Linked:
    """The best five organizations of every question, best first: primary key and match weight (log2 of the odds)."""

    found: list[list[tuple[int, float]]]
    milliseconds: float  # of the batch, divided by its questions; reading the tables and training are not counted


def link(questions: Sequence[Question]) -> Linked:
    """Link the questions with the organizations in this connection's search path.

    :raises LeftOutError: Splink is not installed, can't be trained, or exceeds its time or memory.
    """
    try:
        import duckdb
        from splink.internals.exceptions import EMTrainingException, SplinkException
    except ImportError as error:
        raise LeftOutError(
            "Splink is left out: it is not installed (pip install --require-hashes -r tests/bench/requirements.txt)."
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        # DuckDB must not download extensions.
        options = {"memory_limit": MEMORY, "temp_directory": folder, "autoinstall_known_extensions": "false"}
        database = duckdb.connect(config={**options, "autoload_known_extensions": "false"})
        over = threading.Timer(SECONDS, database.interrupt)
        over.start()
        try:
            _read(database, Path(folder), questions)
            return _linked(database, len(questions))
        except duckdb.InterruptException as error:
            raise LeftOutError(f"Splink is left out: it takes more than {SECONDS} seconds.") from error
        except duckdb.OutOfMemoryException as error:
            raise LeftOutError(f"Splink is left out: it takes more than {MEMORY} of memory.") from error
        except (EMTrainingException, SplinkException) as error:
            raise LeftOutError(f"Splink is left out: it cannot be trained on these questions ({error}).") from error
        finally:
            over.cancel()
            database.close()


def _read(database: Any, folder: Path, questions: Sequence[Question]) -> None:
    with (
        (folder / "directory.csv").open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(_DIRECTORY) as copy,
    ):
        for data in copy:
            file.write(data)
    with (folder / "asked.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_row(number, each) for number, each in enumerate(questions))
    for table in ("directory", "asked"):
        database.execute(
            f"CREATE TABLE read_{table} AS FROM read_csv('{folder / table}.csv', header=false, columns={_COLUMNS})"
        )
    database.execute(_WORDS)
    for table in ("directory", "asked"):
        database.execute(_PREPARED.format(table=table))


def _row(number: int, question: Question) -> tuple[object, ...]:
    domain = normalize.email_domain(question.email)
    if normalize.is_shared_domain(domain):
        domain = ""
    ties = (normalize.registrable_domain(domain), normalize.domain_label(domain), domain_country(domain))
    return (number, "", normalize.name_key(question.name), *ties)


def _linked(database: Any, count: int) -> Linked:
    import splink.comparison_level_library as levels
    import splink.comparison_library as comparisons
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    name = [
        levels.NullLevel("name"),
        levels.ExactMatchLevel("name", term_frequency_adjustments=True),
        *(levels.JaroWinklerLevel("name", least) for least in (0.97, 0.92, 0.85, 0.75)),
        levels.ElseLevel(),
    ]
    domain = [
        levels.NullLevel("registrable"),
        levels.ExactMatchLevel("registrable", term_frequency_adjustments=True),
        levels.ExactMatchLevel("label"),
        levels.ElseLevel(),
    ]
    [(organizations,)] = database.execute("SELECT count(DISTINCT organization) FROM directory").fetchall()
    settings = SettingsCreator(
        link_type="link_only",
        probability_two_random_records_match=1 / organizations,
        comparisons=[
            comparisons.CustomComparison(output_column_name="name", comparison_levels=name),
            comparisons.CustomComparison(output_column_name="domain", comparison_levels=domain),
            comparisons.ExactMatch("country"),
        ],
        blocking_rules_to_generate_predictions=[
            *(block_on(column) for column in ("registrable", "label", "name", "start")),
            block_on("rare", arrays_to_explode=["rare"]),
        ],
        retain_matching_columns=False,
        additional_columns_to_retain=["organization"],
    )
    api = DuckDBAPI(database)
    # Alphabetical order, because Splink's left table is the first by name.
    tables = [api.register(table, dataset_display_name=table) for table in ("asked", "directory")]
    linker = Linker(tables, settings, log_level=None)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (block_on("registrable", "alone"), block_on("name")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    start = time.perf_counter()
    pairs = linker.inference.predict(warning_mode="never")
    rows = database.execute(_BEST.format(pairs=pairs.physical_name)).fetchall()
    seconds = time.perf_counter() - start
    found: list[list[tuple[int, float]]] = [[] for _question in range(count)]
    for number, organization, weight in rows:
        found[number].append((organization, weight))
    return Linked(found, round(seconds * 1000 / count, 3))

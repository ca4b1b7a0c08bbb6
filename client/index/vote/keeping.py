"""The rule of a vote kept in the index that it was chosen on, for those who ask a large one."""

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.vote.choosing import choose_rule
from cocon.client.index.vote.labels import labelled_rows
from cocon.client.index.vote.learned import keep_learned
from cocon.client.index.vote.rule import RULE_FACT, VoteRule

__all__ = ["keep_rule"]


def keep_rule(writer: CatalogueWriter) -> bool:
    """Choose the rule of an index anew where that is due; see `keep_learned`."""
    kept = VoteRule.of_fact(writer.fact(RULE_FACT))
    return keep_learned(writer, RULE_FACT, kept, _chosen)


def _chosen(snapshot: Snapshot) -> VoteRule | None:
    rows, labels = labelled_rows(snapshot)
    return choose_rule(snapshot.vectors, rows, labels) if any(labels) else None

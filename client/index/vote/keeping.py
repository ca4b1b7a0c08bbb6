"""The rule of a vote kept in the index that it was chosen on, for those who ask a large one."""

from dataclasses import replace

from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.vote.choosing import choose_rule
from cocon.client.index.vote.labels import label_counts, labels_of
from cocon.client.index.vote.rule import RULE_FACT, VoteRule

__all__ = ["keep_rule"]


def keep_rule(writer: IndexWriter) -> bool:
    """Choose the rule of an index anew where the labelled videos have changed much since it was chosen.

    Args:
        writer: Of the index, in no transaction.

    Returns:
        Whether there is a new rule, which is committed.
    """
    counts, kept = label_counts(writer), VoteRule.of_fact(writer.fact(RULE_FACT))
    if kept is not None and kept.fits(counts):
        return False
    snapshot = open_snapshot(writer.folder)
    labels = labels_of(snapshot)
    if not any(labels):
        return False
    rule = replace(choose_rule(snapshot.vectors, snapshot.rows, labels), label_counts=counts)
    with writer.transaction():
        writer.put_fact(RULE_FACT, rule.as_dict())
    return True

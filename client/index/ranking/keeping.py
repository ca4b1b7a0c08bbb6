"""How an index ranks by order, chosen on its labelled videos and kept in it."""

from dataclasses import replace

from cocon.client.index.files.reading import open_snapshot
from cocon.client.index.files.writer import IndexWriter
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice, choose_ranking
from cocon.client.index.vote.labels import label_counts, labels_of

__all__ = ["keep_ranking"]


def keep_ranking(writer: IndexWriter) -> bool:
    """Choose anew where the labelled videos of an index have changed much since it was chosen.

    Args:
        writer: Of the index, in no transaction.

    Returns:
        Whether there is a new choice, which is committed.
    """
    counts, kept = label_counts(writer), RankingChoice.of_fact(writer.fact(RANKING_FACT))
    if kept is not None and kept.fits(counts):
        return False
    snapshot = open_snapshot(writer.folder)
    labels = labels_of(snapshot)
    if snapshot.blocks is None or not any(labels):
        return False
    choice = choose_ranking(snapshot.vectors, snapshot.blocks, snapshot.rows, labels)
    with writer.transaction():
        writer.put_fact(RANKING_FACT, replace(choice, label_counts=counts).as_dict())
    return True

"""How an index ranks by order, chosen on its labelled videos and kept in it."""

from cocon.client.index.files.snapshot import Snapshot
from cocon.client.index.files.writing import CatalogueWriter
from cocon.client.index.ranking.choice import RANKING_FACT, RankingChoice, choose_ranking
from cocon.client.index.vote.labels import labels_of
from cocon.client.index.vote.learned import keep_learned

__all__ = ["keep_ranking"]


def keep_ranking(writer: CatalogueWriter) -> bool:
    """Choose anew where that is due; see `keep_learned`."""
    return keep_learned(writer, RANKING_FACT, RankingChoice.of_fact(writer.fact(RANKING_FACT)), _chosen)


def _chosen(snapshot: Snapshot) -> RankingChoice | None:
    labels = labels_of(snapshot)
    if snapshot.blocks is None or not any(labels):
        return None
    return choose_ranking(snapshot.vectors, snapshot.blocks, snapshot.rows, labels)

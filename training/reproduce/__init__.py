"""The paper's tables on a data set of one's own: cells, their training and judging, and the page."""

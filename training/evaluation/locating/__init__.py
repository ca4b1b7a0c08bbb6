"""Actions located in untrimmed videos."""

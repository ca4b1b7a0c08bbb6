"""Videos that lie elsewhere: fetched into a bounded cache, when that is asked for."""

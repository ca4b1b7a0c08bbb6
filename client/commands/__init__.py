"""The command `client`; `index` has those that begin with `client index`, `options` what commands share."""

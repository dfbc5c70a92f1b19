-- Nothing is left to do for an erasure but that all replicas hear of it.
update erasures set worked_off = true where id = $1

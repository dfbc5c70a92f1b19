-- Say that a replica is gone, so that its claims are orphans at once.
update replicas set gone_at = now() where id = $1

-- The replicas that live beside one.
select id from replicas where gone_at > now() and id <> $1

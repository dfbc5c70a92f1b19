-- Whether this replica is the first of those that live.
select coalesce(min(id) = $1::text, false) as mine from replicas where gone_at > now()

-- The identities of customers that are held for an erasure, and under whose key each is.
select hash, kind, user_id, sealed from identities where user_id = any ($1::bigint[]) order by hash for update

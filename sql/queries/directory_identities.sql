-- The identities of a customer, held.
select hash, kind, sealed from identities where user_id = $1 order by hash for update

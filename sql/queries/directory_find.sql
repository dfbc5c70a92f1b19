-- The customers of identities.
select hash, user_id from identities where hash = any ($1::bytea[])

-- The identities of customers.
select user_id, kind, sealed, created_at from identities where user_id = any ($1::bigint[]) order by created_at, hash

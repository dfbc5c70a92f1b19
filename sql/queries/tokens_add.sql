-- Keep a new token, with a line in the audit log; no row when its name is taken or $6 tokens live already.
with made as (
  insert into api_tokens (name, hash, scopes, expires_at, created_by)
  select $1, $2, $3, $4, $5
  where $6::bigint > (
    select count(*) from api_tokens where revoked_at is null and (expires_at is null or expires_at > now())
  )
  on conflict (name) where revoked_at is null do nothing
  returning id, name, scopes, created_at, created_by, last_used_at, expires_at, revoked_at
),
audited as (
  insert into audit (action, by_whom, detail, created_at)
  select 'token_added', m.created_by,
    'token ' || m.id || ', ' || m.name || ': ' || array_to_string(m.scopes, ' '), m.created_at
  from made m
)
select * from made

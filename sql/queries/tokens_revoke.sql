-- Revoke a living token, with a line in the audit log.
with gone as (
  update api_tokens
  set revoked_at = now()
  where id = $1 and revoked_at is null
  returning id, name, scopes, created_at, created_by, last_used_at, expires_at, revoked_at
),
audited as (
  insert into audit (action, by_whom, detail, created_at)
  select 'token_revoked', $2, 'token ' || g.id || ', ' || g.name, g.revoked_at from gone g
)
select * from gone

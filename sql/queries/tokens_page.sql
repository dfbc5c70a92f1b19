-- Every token there ever was, the latest first.
select id, name, scopes, created_at, created_by, last_used_at, expires_at, revoked_at
from api_tokens
where id < coalesce($1::bigint, 9223372036854775807)
order by id desc
limit $2

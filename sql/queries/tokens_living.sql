-- Every token that is neither revoked nor expired, with what tells whether it is right.
select id, name, hash, scopes, expires_at
from api_tokens
where revoked_at is null and (expires_at is null or expires_at > now())
limit $1

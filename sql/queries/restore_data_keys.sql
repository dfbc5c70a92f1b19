-- Give customers their keys back. The version leaps, so that no snapshot in Redis of before passes the guard.
update users u
set data_key = k.data_key, version = u.version + 1000000000
from unnest($1::bigint[], $2::bytea[]) as k (id, data_key)
where u.id = k.id

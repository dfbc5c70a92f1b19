-- Events that no commit has consumed, with the wrapped keys of their customers.
select j.seq, j.dedup, j.user_id, j.kind, j.sealed, j.accepted_at, u.data_key
from journal j
join users u on u.id = j.user_id
where j.consumed_at is null and u.data_key is not null

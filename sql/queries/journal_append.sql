-- Append a batch of envelopes in the order given; one row for each that was not there yet.
-- Whoever was merged meanwhile is the customer who absorbed them, so that their order stays that of acceptance.
insert into journal (dedup, user_id, kind, sealed, accepted_at)
select e.dedup, coalesce(u.merged_into, e.user_id), e.kind, e.sealed, to_timestamp(e.at)
from unnest($1::bytea[], $2::bigint[], $3::text[], $4::bytea[], $5::double precision[])
  with ordinality as e (dedup, user_id, kind, sealed, at, n)
left join users u on u.id = e.user_id
order by e.n
on conflict (dedup) do nothing
returning dedup, seq

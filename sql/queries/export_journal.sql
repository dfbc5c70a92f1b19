-- Events of customers among the next rows of the journal, and the last sequence number of those rows beside each.
-- One row without an event when there is none among them, none when the journal is at its end.
with page as materialized (
  select seq, user_id, dedup, kind, sealed, accepted_at, consumed_at from journal where seq > $2 order by seq limit $3
)
select l.last, p.seq, p.dedup, p.kind, p.sealed, p.accepted_at, p.consumed_at
from (select max(seq) as last from page) l
left join page p on p.user_id = any ($1::bigint[])
where l.last is not null
order by p.seq

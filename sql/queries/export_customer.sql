-- A customer, found by an identity, with all whom they absorbed, the one who is left first.
select
  m.id, m.data_key, m.name, m.language, m.opted_out, m.state, m.created_at, m.updated_at, m.merged_into
from users m
where m.id = any (array(
    select a.id
    from identities i
    join users f on f.id = i.user_id
    join users a on a.id = coalesce(f.merged_into, f.id) or a.merged_into = coalesce(f.merged_into, f.id)
    where i.hash = $1
  ))
order by m.merged_into nulls first, m.id

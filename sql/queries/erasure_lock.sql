-- Hold a customer, found by an identity, with all whom they absorbed, for an erasure.
select u.id, u.data_key, u.opted_out
from users u
where u.id = any (array(
    select m.id
    from identities i
    join users f on f.id = i.user_id
    join users m on m.id = coalesce(f.merged_into, f.id) or m.merged_into = coalesce(f.merged_into, f.id)
    where i.hash = $1
  ))
order by u.id
for update

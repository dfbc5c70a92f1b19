-- Ids of conversations of customers who have all of the search words $4, with those of customers they absorbed.
-- Few customers: the newest conversations of each; the limit inside keeps that to each one's own. More than 2,000: their
-- conversations are so frequent that going through all of them, the newest first, soon fills the page.
with found as materialized (
  select id from users where search @> $4::bytea[] and merged_into is null limit 2001
),
many as materialized (
  select count(*) > 2000 as many from found
),
theirs as (
  select id from found
  union all
  select absorbed.id from found join users absorbed on absorbed.merged_into = found.id
),
of_few as (
  select talk.id
  from theirs
  cross join lateral (
    select c.id
    from conversations c
    where c.user_id = theirs.id
      and ($1::text is null or c.status = $1)
      and c.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by c.id desc
    limit $3
  ) talk
  where not (select many from many)
),
of_many as (
  select c.id
  from conversations c
  where (select many from many)
    and ($1::text is null or c.status = $1)
    and c.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    and exists (
      select from users u
      left join users holder on holder.id = u.merged_into
      where u.id = c.user_id and coalesce(holder.search, u.search) @> $4::bytea[]
      offset 0
    )
  order by c.id desc
  limit $3
)
select id from of_few
union all
select id from of_many
order by id desc
limit $3

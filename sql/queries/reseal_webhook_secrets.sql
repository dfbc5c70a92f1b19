-- Put secrets of webhooks under another key in place of those that were read, unless they were rotated meanwhile.
with fresh as (
  select split_part(f.place, ' ', 1) as which, split_part(f.place, ' ', 2)::uuid as id, f.old, f.new
  from unnest($1::text[], $2::bytea[], $3::bytea[]) as f (place, old, new)
)
update webhook_endpoints w
set
  secret = coalesce((select f.new from fresh f where f.id = w.id and f.which = 'new' and f.old = w.secret), w.secret),
  old_secret = coalesce(
    (select f.new from fresh f where f.id = w.id and f.which = 'old' and f.old = w.old_secret), w.old_secret
  )
where exists (
  select from fresh f where f.id = w.id and f.old = case f.which when 'new' then w.secret else w.old_secret end
)
returning w.id

-- Secrets of webhook endpoints, present and former, behind a place ("new" or "old" and the endpoint), in pages.
select s.place, s.sealed
from (
  select 'new ' || id as place, secret as sealed from webhook_endpoints
  union all
  select 'old ' || id, old_secret from webhook_endpoints where old_secret is not null
) s
where s.place > $1
order by s.place
limit $2

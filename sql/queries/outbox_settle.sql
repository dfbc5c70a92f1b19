-- Apply delivery reports that waited for their messages, which are known now; one row for each, with what was before.
with report as materialized (
  select
    row_number() over (order by r.received_at, r.dedup) as n, null::uuid as id, r.msg91_message_id as provider_id,
    r.request_id, r.recipient, r.status, d.bit, r.reason, r.code,
    extract(epoch from r.reported_at)::double precision as at, r.dedup
  from (select * from reports where dedup = any ($1::bytea[]) and matched_at is null order by dedup for update) r
  join (values ('sent', 1::smallint), ('failed', 2::smallint), ('delivered', 4::smallint), ('read', 8::smallint))
    as d (status, bit) on d.status = r.status
),
found as (
  select
    r.*,
    coalesce(
      (select m.id from messages m where m.id = r.id and m.direction = 'outbound'),
      (select m.id from messages m where m.direction = 'outbound' and m.msg91_message_id = r.provider_id limit 1),
      (select m.id from messages m where m.direction = 'outbound' and m.msg91_message_id = erased_id(r.provider_id) limit 1),
      (
        select m.id
        from messages m
        where m.request_id = r.request_id
          and (
            r.recipient is null
            or exists (
              select from identities i join users u on u.id = m.user_id
              where i.hash = r.recipient and i.user_id in (u.id, u.merged_into)
            )
          )
        limit 1
      )
    ) as message_id
  from report r
),
before as materialized (
  select m.id, m.user_id, m.delivery_status, m.reported
  from messages m
  where m.id = any (array(select f.message_id from found f where f.message_id is not null)) and m.direction = 'outbound'
  order by m.id
  for update
),
told as (
  select
    f.message_id,
    bit_or(f.bit) as bits,
    min(f.at) filter (where f.status <> 'failed') as sent_at,
    min(f.at) filter (where f.status = 'delivered') as delivered_at,
    min(f.at) filter (where f.status = 'read') as read_at,
    max(delivery_rank(f.status)) as furthest,
    (array_agg(f.reason order by f.n) filter (where f.status = 'failed'))[1] as reason,
    (array_agg(f.code order by f.n) filter (where f.status = 'failed'))[1] as code
  from found f
  where f.message_id is not null
  group by f.message_id
),
applied as (
  update messages m
  set
    reported = m.reported | t.bits,
    delivery_status = (array['pending', 'sending', 'sent', 'failed', 'delivered', 'read'])[
      greatest(delivery_rank(m.delivery_status), t.furthest)
    ],
    claimed_by = '',
    retry_at = null,
    msg91_message_id = coalesce(m.msg91_message_id, case when m.content = '' then erased_id(p.provider_id) else p.provider_id end),
    sent_at = coalesce(m.sent_at, to_timestamp(t.sent_at)),
    delivered_at = coalesce(m.delivered_at, to_timestamp(t.delivered_at)),
    read_at = coalesce(m.read_at, to_timestamp(t.read_at)),
    failure_reason = case
      when m.content = '' then ''
      when t.furthest = delivery_rank('failed') and delivery_rank(m.delivery_status) < t.furthest then t.reason
      else m.failure_reason
    end,
    failure_code = case
      when t.furthest = delivery_rank('failed') and delivery_rank(m.delivery_status) < t.furthest then t.code
      else m.failure_code
    end
  from told t
  join before b on b.id = t.message_id
  left join lateral (
    select f.provider_id from found f where f.message_id = t.message_id and f.provider_id is not null order by f.n limit 1
  ) p on true
  where m.id = t.message_id and delivery_rank(b.delivery_status) is not null and (b.reported | t.bits) <> b.reported
),
matched as (
  update reports r
  set matched_at = now(), msg91_message_id = null, request_id = null, recipient = null, reason = ''
  from found f where r.dedup = f.dedup and f.message_id is not null
)
select f.n, b.id, b.user_id, b.delivery_status, b.reported, f.status, f.reason, f.code
from found f
join before b on b.id = f.message_id
order by f.n

-- Record what became of attempts to send; the delivery reports that had overtaken the answers noted here, by their keys.
-- A report may have moved the message on already: then the note only adds what it alone knows.
-- A message without content is an erased customer's, of whom the provider's words and references are not kept.
with note as (
  select *
  from json_to_recordset($1::json) as n (
    id uuid, status text, at double precision, provider_id text, request_id text, reason text, code integer,
    attempts integer, retry_at double precision, processing_time double precision
  )
),
noted as (
  update messages m
  set
    delivery_status = case
      when n.status in ('pending', 'sending') or delivery_rank(n.status) > delivery_rank(m.delivery_status) then n.status
      else m.delivery_status
    end,
    claimed_by = case when n.status in ('pending', 'sending') then m.claimed_by else '' end,
    msg91_message_id = case
      when m.content = '' then coalesce(m.msg91_message_id, erased_id(nullif(n.provider_id, '')))
      else coalesce(m.msg91_message_id, nullif(n.provider_id, ''))
    end,
    request_id = case when m.content = '' then null else coalesce(m.request_id, nullif(n.request_id, '')) end,
    sent_at = case when n.status = 'sent' then coalesce(m.sent_at, to_timestamp(n.at)) else m.sent_at end,
    failure_reason = case
      when m.content = '' then ''
      when delivery_rank(m.delivery_status) > delivery_rank(n.status) and m.claimed_by = '' then m.failure_reason
      else n.reason
    end,
    failure_code = case
      when delivery_rank(m.delivery_status) > delivery_rank(n.status) and m.claimed_by = '' then m.failure_code
      else n.code
    end,
    attempts = greatest(m.attempts, n.attempts),
    retry_at = to_timestamp(n.retry_at),
    processing_time = coalesce(n.processing_time, m.processing_time)
  from note n
  where m.id = any (array(select id from note)) and m.id = n.id
    and (n.status in ('sent', 'failed') or m.delivery_status in ('pending', 'sending'))
)
select r.dedup
from note n
cross join lateral (
  select dedup from reports where matched_at is null and msg91_message_id = n.provider_id offset 0
) r
where n.provider_id <> ''
union
select r.dedup
from note n
cross join lateral (
  select dedup from reports where matched_at is null and request_id = n.request_id offset 0
) r
where n.request_id <> ''

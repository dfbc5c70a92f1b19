-- Remove flow versions that no replica has had in force since a moment, unless a conversation is in that flow.
with gone as (
  delete from flow_versions v
  where v.used_at < to_timestamp($1)
    and not exists (select from conversations c where c.completed_at is null and c.current_flow = v.flow_id)
  returning v.digest
)
select count(*) as removed from gone

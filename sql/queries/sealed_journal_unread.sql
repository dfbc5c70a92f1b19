-- Events behind a number that no commit has consumed and that have waited for a minute, in pages.
-- All that wait are read first, by the index that holds nothing else; in order of numbers every event would be looked at.
with waiting as materialized (
  select seq, sealed, dedup
  from journal
  where consumed_at is null and accepted_at < now() - interval '1 minute'
)
select seq as place, sealed, dedup from waiting where seq > $1 order by seq limit $2

-- Of writes whose guard failed, those that had taken effect before their answer was lost.
-- The consumed rows say so for good; the customer's row does until the next write, and serves writes that consume nothing.
select w.n
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
  with ordinality as w (user_id, version, commit_id, seq, n)
left join journal j on j.seq = w.seq
left join users u on u.id = w.user_id
where j.commit_id = w.commit_id or (u.version = w.version + 1 and u.commit_id = w.commit_id)

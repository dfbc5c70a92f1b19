-- Finish erasures that are worked off and that every living replica has heard of: nobody has to look for anything more.
update erasures e
set finished_at = now(), sought = ''
where e.finished_at = 'infinity' and e.worked_off
  and not exists (select from replicas r where r.gone_at > now() and not r.id = any (e.heard_by))

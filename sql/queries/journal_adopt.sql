-- Hand unread rows of absorbed customers to those who absorbed them: they were accepted while the merge was under way.
update journal j
set user_id = u.merged_into
from users u
where u.merged_into is not null and j.consumed_at is null and j.user_id = u.id

-- Let a parked customer go on with the same event.
delete from parked where id = $1 returning user_id

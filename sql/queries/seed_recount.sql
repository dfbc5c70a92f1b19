-- Forget the counts of days, which the sweep makes anew.
delete from message_days

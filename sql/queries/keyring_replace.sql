-- Put a rewrapped key in the place of the one that was read; one row when nobody else was first.
update keyring set wrapped = $3 where name = $1 and wrapped = $2 returning name

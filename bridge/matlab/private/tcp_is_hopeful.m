function hopeful = tcp_is_hopeful(door)
%TCP_IS_HOPEFUL  True while a connection is being made.
hopeful = ~any(strcmp(door.phase, {'away', 'open'}));
end

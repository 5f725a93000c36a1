function is_connecting = tcp_is_connecting(connection)
%TCP_IS_CONNECTING  True while a connection is being made.
is_connecting = ~any(strcmp(connection.phase, {'disconnected', 'open'}));
end

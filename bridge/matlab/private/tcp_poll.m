function connection = tcp_poll(connection)
%TCP_POLL  Continue connecting, reading and writing, without waiting.
try
    connection = tcp_advance(connection);
catch problem
    connection = tcp_disconnect(connection, tcp_find_reason(connection, problem));
end
end

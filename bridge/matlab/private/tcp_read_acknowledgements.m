function connection = tcp_read_acknowledgements(connection)
%TCP_READ_ACKNOWLEDGEMENTS  Count the messages that the daemon has acknowledged.
%   Reading takes time, so it is done only when several messages are in flight. Before the
%   first acknowledgement there can be a reason why the daemon accepts none.
if connection.n_in_flight < connection.read_from
    return
end
reply = tcp_read_reply(connection);
if ~isempty(reply)
    tcp_require_acknowledged(reply);
    connection.n_in_flight = max(0, connection.n_in_flight - numel(reply));
    connection.read_from = 4;
    connection.pause_s = 0.1;
end
end

function [connection, is_sent] = tcp_send(connection, header, payload)
%TCP_SEND  Queue a message, unless there is no daemon or it is too slow.
%   At most 16 messages are in flight, which bounds the queue. Call `poll` first.
is_sent = strcmp(connection.phase, 'open') && connection.n_in_flight < 16;
if ~is_sent
    if strcmp(connection.phase, 'open')
        connection.failure = sprintf('the daemon at %s is too slow', connection.name);
    end
    return
end
header = encode_utf8(header);
payload = typecast(payload(:)', 'int8');
message = [int8('RTR1'), typecast(uint32(numel(header)), 'int8'), ...
           typecast(uint64(numel(payload)), 'int8'), header, payload];
connection.queue{end + 1} = javaMethod('wrap', 'java.nio.ByteBuffer', message);
connection.left(end + 1) = numel(message);
connection.n_in_flight = connection.n_in_flight + 1;
try
    connection = tcp_write(connection);
catch problem
    connection = tcp_disconnect(connection, tcp_find_reason(connection, problem));
end
end

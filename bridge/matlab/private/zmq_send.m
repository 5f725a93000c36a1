function [connection, is_sent] = zmq_send(connection, header, payload)
%ZMQ_SEND  Pass a message of two parts to JeroMQ, unless its queue is full.
dont_wait = 1;
send_more = 2;
is_sent = connection.socket.send(encode_utf8(header), int32(dont_wait + send_more));
if ~is_sent
    connection.failure = sprintf('no daemon at %s, or it is too slow', connection.name);
elseif isempty(payload)
    connection.socket.send(javaObject('java.lang.String'), int32(dont_wait));
else
    connection.socket.send(typecast(payload(:)', 'int8'), int32(dont_wait));
end
end

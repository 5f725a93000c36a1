function [door, taken] = zmq_send(door, header, payload)
%ZMQ_SEND  Hand a message of two parts to JeroMQ, unless it has no room.
dont_wait = 1;
send_more = 2;
taken = door.socket.send(utf8(header), int32(dont_wait + send_more));
if ~taken
    door.trouble = sprintf('no daemon at %s, or it is behind', door.name);
elseif isempty(payload)
    door.socket.send(javaObject('java.lang.String'), int32(dont_wait));
else
    door.socket.send(typecast(payload(:)', 'int8'), int32(dont_wait));
end
end

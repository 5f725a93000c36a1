function [door, taken] = tcp_send(door, header, payload)
%TCP_SEND  Take a message to be sent, unless there is no daemon or it is behind.
%   At most 16 are under way: what the daemon has not taken in bounds what waits here.
%   `poll` comes first, and finds out.
taken = strcmp(door.phase, 'open') && door.underway < 16;
if ~taken
    if strcmp(door.phase, 'open')
        door.trouble = sprintf('the daemon at %s is behind', door.name);
    end
    return
end
header = utf8(header);
payload = typecast(payload(:)', 'int8');
message = [int8('RTR1'), typecast(uint32(numel(header)), 'int8'), ...
           typecast(uint64(numel(payload)), 'int8'), header, payload];
door.queue{end + 1} = javaMethod('wrap', 'java.nio.ByteBuffer', message);
door.left(end + 1) = numel(message);
door.underway = door.underway + 1;
try
    door = tcp_write(door);
catch problem
    door = tcp_lost(door, problem.message);
end
end

function count = tcp_read(door)
%TCP_READ  Read into the door's inbox what has come; return how many bytes came.
%   An error where the daemon is gone.
count = door.channel.read(door.inbox);
if count < 0
    error('rtrecon:tcp', 'the daemon closed the connection');
end
end

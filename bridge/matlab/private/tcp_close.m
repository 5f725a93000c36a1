function tcp_close(door)
%TCP_CLOSE  Close the connection, if there is one.
if ~isempty(door.channel)
    door.channel.close();
end
end

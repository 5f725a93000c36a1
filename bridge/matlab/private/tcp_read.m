function count = tcp_read(connection)
%TCP_READ  Read the received bytes into `inbox`; return their number.
%   An error if the daemon has closed the connection.
count = connection.channel.read(connection.inbox);
if count < 0
    error('rtrecon:tcp', 'the daemon closed the connection');
end
end

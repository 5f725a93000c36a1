function connection = tcp_advance(connection)
%TCP_ADVANCE  Connect, authenticate, read and write as far as possible at once.
%   An error means that the connection is lost.
now_s = toc(connection.clock);
if strcmp(connection.phase, 'disconnected')
    if now_s < connection.next
        return
    end
    connection.channel = javaMethod('open', 'java.nio.channels.SocketChannel');
    connection.channel.configureBlocking(false);
    connection.channel.socket().setTcpNoDelay(true);
    connection.channel.socket().setSendBufferSize(int32(2^22));  % holds a few frames
    connection.channel.connect(connection.address);
    connection = set_phase(connection, 'connecting');
end
if strcmp(connection.phase, 'connecting') && connection.channel.finishConnect()
    connection = set_phase(connection, 'open');
    if ~isempty(connection.token)
        connection = set_phase(connection, 'await_challenge');
    end
    connection.connections = connection.connections + strcmp(connection.phase, 'open');
end
if any(strcmp(connection.phase, {'await_challenge', 'await_acceptance'}))
    [connection, next] = tcp_authenticate(connection);
    connection = set_phase(connection, next);
    connection.connections = connection.connections + strcmp(next, 'open');
end
if strcmp(connection.phase, 'open')
    connection = tcp_write(tcp_read_acknowledgements(connection));
elseif now_s - connection.since > 2
    if strcmp(connection.phase, 'await_challenge')
        error('rtrecon:tcp', 'it asks for no token; leave the argument ''keys'' out');
    end
    error('rtrecon:tcp', 'it has not answered for 2 s');
end
end

function connection = set_phase(connection, phase)
if ~strcmp(connection.phase, phase)
    connection.phase = phase;
    connection.since = toc(connection.clock);
end
end

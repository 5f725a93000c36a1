function door = tcp_step(door)
%TCP_STEP  From where the connection stands, as far as it goes; errors mean: it is lost.
now_s = toc(door.clock);
if strcmp(door.phase, 'away')
    if now_s < door.next
        return
    end
    door.channel = javaMethod('open', 'java.nio.channels.SocketChannel');
    door.channel.configureBlocking(false);
    door.channel.socket().setTcpNoDelay(true);
    door.channel.socket().setSendBufferSize(int32(2^22));  % holds a few frames
    door.channel.connect(door.address);
    door = in_phase(door, 'connecting');
end
if strcmp(door.phase, 'connecting') && door.channel.finishConnect()
    door = in_phase(door, 'open');
    if ~isempty(door.token)
        door = in_phase(door, 'asked');
    end
    door.connections = door.connections + strcmp(door.phase, 'open');
end
if any(strcmp(door.phase, {'asked', 'answered'}))
    [door, next] = tcp_prove(door);
    door = in_phase(door, next);
    door.connections = door.connections + strcmp(next, 'open');
end
if strcmp(door.phase, 'open')
    door = tcp_write(tcp_acknowledge(door));
elseif now_s - door.since > 2
    if strcmp(door.phase, 'asked')
        error('rtrecon:tcp', 'it asks for no token; leave the argument ''keys'' out');
    end
    error('rtrecon:tcp', 'it has not answered for 2 s');
end
end

function door = in_phase(door, phase)
if ~strcmp(door.phase, phase)
    door.phase = phase;
    door.since = toc(door.clock);
end
end

function door = zmq_new(options)
%ZMQ_NEW  A door to the daemon by ZeroMQ (JeroMQ): its own thread sends, and connects again.
%   At most 32 messages wait in it, none for a daemon that is not there.
if isempty(options.address)
    options.address = 'tcp://127.0.0.1:5560';
end
[context, socket] = zmq_socket('PUSH', options.keys);
socket.setSndHWM(32);
socket.setDelayAttachOnConnect(true);  % what libzmq calls IMMEDIATE
socket.connect(options.address);
door = struct('send', @zmq_send, 'poll', @(door) door, 'settle', @(door, ~) door, ...
              'is_hopeful', @(door) toc(door.made) < 0.1, 'close', @zmq_close, ...
              'connections', 0, 'trouble', '', 'name', options.address, 'made', tic);
door.context = context;
door.socket = socket;
end

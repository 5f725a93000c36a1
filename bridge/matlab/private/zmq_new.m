function connection = zmq_new(options)
%ZMQ_NEW  A connection to the daemon by ZeroMQ (JeroMQ), which sends in its own thread.
%   At most 32 messages are queued, none while there is no daemon.
if isempty(options.address)
    options.address = 'tcp://127.0.0.1:5560';
end
[context, socket] = zmq_socket('PUSH', options.keys);
socket.setSndHWM(32);
socket.setDelayAttachOnConnect(true);  % what libzmq calls IMMEDIATE
socket.connect(options.address);
connection = struct('send', @zmq_send, 'poll', @(connection) connection, 'flush', @(connection, ~) connection, ...
              'is_connecting', @(connection) toc(connection.made) < 0.1, 'close', @zmq_close, ...
              'connections', 0, 'failure', '', 'name', options.address, 'made', tic);
connection.context = context;
connection.socket = socket;
end

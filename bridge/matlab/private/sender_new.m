function sender = sender_new(options)
%SENDER_NEW  A sender without a session; it connects in the background.
switch options.transport
    case 'tcp'
        connection = tcp_new(options);
    case 'jeromq'
        connection = zmq_new(options);
    otherwise
        error('rtrecon:options', 'transport ''%s'' is not known; it is tcp or jeromq', ...
              options.transport);
end
sender = struct('connection', connection, 'session', new_session_id(), 'seq', 0, ...
                'frames', 0, 'dropped', 0, ...
                'start', [], ...       % fields of the start message
                'start_sent', [], ...  % when it was sent, by tic
                'connections', 0);     % number of the connection on which it was sent
end

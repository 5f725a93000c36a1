function sender = sender_new(options)
%SENDER_NEW  A sender that has not begun a session; its door connects by and by.
switch options.transport
    case 'tcp'
        door = tcp_new(options);
    case 'jeromq'
        door = zmq_new(options);
    otherwise
        error('rtrecon:options', 'transport ''%s'' is not known; it is tcp or jeromq', ...
              options.transport);
end
sender = struct('door', door, 'session', new_session(), 'seq', 0, ...
                'frames', 0, 'dropped', 0, ...  % handed to the door, and not
                'start', [], 'said', [], ...    % when `start` was said, by tic
                'connections', 0);              % of the door, when it was
end

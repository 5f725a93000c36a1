function [context, socket] = zmq_socket(kind, keys)
%ZMQ_SOCKET  A JeroMQ socket with the options that bridge/README.md asks for.
%   `keys`: a folder from `rtrecon keys`, or ''. Needs JeroMQ 0.3.6, with keys 0.5.
try
    context = javaObject('org.zeromq.ZContext');
catch
    error('rtrecon:jeromq', ['JeroMQ is not on MATLAB''s Java class path; README.md ' ...
                             'says how to put it there. ''tcp'' needs nothing']);
end
context.setLinger(int32(2000));  % ms that messages are given when it is closed
try
    socket = context.createSocket(javaMethod('valueOf', 'org.zeromq.SocketType', kind));
catch  % older than 0.5
    codes = struct('PUSH', 8, 'SUB', 2);
    socket = context.createSocket(int32(codes.(kind)));
end
if ~isempty(keys)
    zmq_keys(socket, keys);
end
end

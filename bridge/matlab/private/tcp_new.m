function connection = tcp_new(options)
%TCP_NEW  A connection to the daemon by framed TCP; bridge/README.md describes the bytes.
%   It needs only the Java that comes with MATLAB. Connecting, sending and reading never
%   wait (java.nio): each call does what can be done at once, and `poll` continues. A
%   broken connection is made again, at most every two seconds.
address = options.address;
if isempty(address)
    address = 'tcp://127.0.0.1:5561';
end
parts = regexp(address, '^tcp://(.+):(\d+)$', 'tokens', 'once');
if isempty(parts)
    error('rtrecon:options', ...
          '''%s'' is not an address; write it like tcp://127.0.0.1:5561', address);
end
token = '';
if ~isempty(options.keys)
    token = strtrim(fileread(fullfile(options.keys, 'token')));
end
connection = struct('send', @tcp_send, 'poll', @tcp_poll, 'flush', @tcp_flush, ...
              'is_connecting', @tcp_is_connecting, 'close', @tcp_close, ...
              'connections', 0, 'failure', '', ...
              'name', address, 'token', token, 'clock', tic);
connection.address = javaObject('java.net.InetSocketAddress', parts{1}, ...
                          int32(str2double(parts{2})));
connection.inbox = javaMethod('allocate', 'java.nio.ByteBuffer', int32(1024));
connection.channel = [];
connection.phase = 'disconnected';  % connecting, await_challenge, await_acceptance, open
connection.since = 0;       % s on `clock`: start of this phase
connection.pause_s = 0.1;   % before the next attempt
connection.next = 0;        % s on `clock`: time of that attempt
connection.queue = {};      % ByteBuffers; the first may be sent in part
connection.left = [];       % bytes that each still has to send
connection.n_in_flight = 0; % messages sent and not yet acknowledged
connection.read_from = 0;   % number in flight from which replies are read
end

function door = tcp_new(options)
%TCP_NEW  A door to the daemon by framed TCP: bridge/README.md says which bytes.
%   It needs nothing but the Java that MATLAB brings. Connecting, sending and reading never
%   wait (java.nio): each call does what can be done at once, and `poll` goes on with it.
%   A connection that breaks is made again, at most every two seconds.
address = options.address;
if isempty(address)
    address = 'tcp://127.0.0.1:5561';
end
parts = regexp(address, '^tcp://(.+):(\d+)$', 'tokens', 'once');
if isempty(parts)
    error('rtrecon:options', ...
          'address ''%s'' is none; write it like tcp://127.0.0.1:5561', address);
end
token = '';
if ~isempty(options.keys)
    token = strtrim(fileread(fullfile(options.keys, 'token')));
end
door = struct('send', @tcp_send, 'poll', @tcp_poll, 'settle', @tcp_settle, ...
              'is_hopeful', @tcp_is_hopeful, 'close', @tcp_close, ...
              'connections', 0, 'trouble', '', ...
              'name', address, 'token', token, 'clock', tic);
door.address = javaObject('java.net.InetSocketAddress', parts{1}, ...
                          int32(str2double(parts{2})));
door.inbox = javaMethod('allocate', 'java.nio.ByteBuffer', int32(1024));
door.channel = [];
door.phase = 'away';  % connecting, asked (for the token), answered, open
door.since = 0;       % s on `clock`, of this phase
door.pause_s = 0.1;   % before the next attempt
door.next = 0;        % s on `clock`, of that attempt
door.queue = {};      % of ByteBuffers, the first of which may have left in part
door.left = [];       % bytes that each of them still has to send
door.underway = 0;    % messages sent that the daemon is not known to have taken
door.look_from = 0;   % so many of which make it worth while to look what it says
end

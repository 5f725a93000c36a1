function events = rtrecon_events(varargin)
%RTRECON_EVENTS  What the daemon has published since the last call; never waits.
%
%   events = rtrecon_events()         a cell array of structs, oldest first; may be empty
%   events = rtrecon_events(name, value, ...)   with other options: first closes
%   rtrecon_events('close')
%
%   Options: 'topics' ({'event'}; also 'quality', 'health', ...: bridge/README.md),
%   'address' (tcp://127.0.0.1:5562) and 'keys' (folder from `rtrecon keys`). Each struct
%   has the fields of the topic's header, and `type`, the topic. The images and numbers
%   that some topics carry beside it are left out. Needs JeroMQ (README.md here).
persistent ear arguments
if isequal(varargin, {'close'})
    ear = ear_closed(ear);
    events = {};
    return
end
if isempty(ear) || (nargin > 0 && ~isequal(varargin, arguments))
    ear = ear_open(ear_closed(ear), varargin);
    arguments = varargin;
end
events = {};
topic = ear.socket.recvStr(int32(1));  % 1: do not wait
while ischar(topic) || ~isempty(topic)
    events{end + 1} = jsondecode(char(ear.socket.recvStr(int32(0)))); %#ok<AGROW>
    while ear.socket.hasReceiveMore()
        ear.socket.recv(int32(0));
    end
    topic = ear.socket.recvStr(int32(1));
end
end

function ear = ear_open(ear, arguments)
known = struct('topics', {{'event'}}, 'address', 'tcp://127.0.0.1:5562', 'keys', '');
options = options_from(known, arguments);
[ear.context, ear.socket] = zmq_socket('SUB', options.keys);
ear.socket.setRcvHWM(2000);
for topic = options.topics
    ear.socket.subscribe(int8(topic{1}));
end
ear.socket.connect(options.address);
end

function ear = ear_closed(ear)
if ~isempty(ear)
    ear.context.close();
end
ear = [];
end

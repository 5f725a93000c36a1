function events = rtrecon_events(varargin)
%RTRECON_EVENTS  Messages that the daemon has published since the last call; never waits.
%
%   events = rtrecon_events()         a cell array of structs, oldest first; may be empty
%   events = rtrecon_events(name, value, ...)   with these options
%   rtrecon_events('close')                     closes the connection
%
%   Options: 'topics' ({'event'}; also 'quality', 'health', ...: bridge/README.md),
%   'address' (tcp://127.0.0.1:5562) and 'keys' (folder from `rtrecon keys`). Each struct
%   has the fields of the message's header; `type` is the topic. Payloads (images and
%   arrays) are left out. Needs JeroMQ (README.md here).
persistent subscription arguments
if isequal(varargin, {'close'})
    subscription = close_subscription(subscription);
    events = {};
    return
end
if isempty(subscription) || (nargin > 0 && ~isequal(varargin, arguments))
    subscription = open_subscription(close_subscription(subscription), varargin);
    arguments = varargin;
end
events = {};
topic = subscription.socket.recvStr(int32(1));  % 1: do not wait
while ischar(topic) || ~isempty(topic)
    events{end + 1} = jsondecode(char(subscription.socket.recvStr(int32(0)))); %#ok<AGROW>
    while subscription.socket.hasReceiveMore()
        subscription.socket.recv(int32(0));
    end
    topic = subscription.socket.recvStr(int32(1));
end
end

function subscription = open_subscription(subscription, arguments)
defaults = struct('topics', {{'event'}}, 'address', 'tcp://127.0.0.1:5562', 'keys', '');
options = parse_options(defaults, arguments);
[subscription.context, subscription.socket] = zmq_socket('SUB', options.keys);
subscription.socket.setRcvHWM(2000);
for topic = options.topics
    subscription.socket.subscribe(int8(topic{1}));
end
subscription.socket.connect(options.address);
end

function subscription = close_subscription(subscription)
if ~isempty(subscription)
    subscription.context.close();
end
subscription = [];
end

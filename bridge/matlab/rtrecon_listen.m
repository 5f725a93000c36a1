function rtrecon_listen(act, seconds, varargin)
%RTRECON_LISTEN  Call a function with every event that the daemon publishes.
%
%   rtrecon_listen(@(event) disp(event.message))       until Ctrl-C
%   rtrecon_listen(act, 60, 'topics', {'event', 'quality'})    for a minute
%
%   act(event) is called about a millisecond after the event arrives; events that arrive
%   while it runs are queued. Further arguments are those of rtrecon_events.
if nargin < 2 || isempty(seconds)
    seconds = Inf;
end
closing = onCleanup(@() rtrecon_events('close'));
began = tic;
while toc(began) < seconds
    for event = rtrecon_events(varargin{:})
        act(event{1});
    end
    pause(0.001);
end
end

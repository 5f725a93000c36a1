function door = tcp_acknowledge(door)
%TCP_ACKNOWLEDGE  Take note of what the daemon says it has taken in.
%   To look costs time, and is left until several messages are under way; before the first
%   is taken there may be a word on why none will be.
if door.underway < door.look_from
    return
end
said = tcp_said(door);
if ~isempty(said)
    tcp_require_taken(said);
    door.underway = max(0, door.underway - numel(said));
    door.look_from = 4;
    door.pause_s = 0.1;
end
end

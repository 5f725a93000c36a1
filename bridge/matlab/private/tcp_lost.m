function door = tcp_lost(door, reason)
%TCP_LOST  Give the connection up, and say when to try again.
%   What was under way may be lost; the daemon sees that by `seq`.
by_java = regexp(reason, 'Exception: ([^\n\r]*)', 'tokens', 'once');  % of many lines
if ~isempty(by_java)
    reason = by_java{1};
end
door.trouble = sprintf('no daemon at %s: %s', door.name, reason);
tcp_close(door);
door.channel = [];
door.inbox.clear();
door.queue = {};
door.left = [];
door.underway = 0;
door.look_from = 0;
door.phase = 'away';
door.next = toc(door.clock) + door.pause_s;
door.pause_s = min(2, 2 * door.pause_s);
end

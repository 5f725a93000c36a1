function connection = tcp_disconnect(connection, reason)
%TCP_DISCONNECT  Close a broken connection and schedule the next attempt.
%   Messages in flight may be lost; the daemon sees a gap in `seq`.
by_java = regexp(reason, 'Exception: ([^\n\r]*)', 'tokens', 'once');  % Java's text has many lines
if ~isempty(by_java)
    reason = by_java{1};
end
connection.failure = sprintf('no daemon at %s: %s', connection.name, reason);
tcp_close(connection);
connection.channel = [];
connection.inbox.clear();
connection.queue = {};
connection.left = [];
connection.n_in_flight = 0;
connection.read_from = 0;
connection.phase = 'disconnected';
connection.next = toc(connection.clock) + connection.pause_s;
connection.pause_s = min(2, 2 * connection.pause_s);
end

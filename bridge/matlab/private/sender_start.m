function [sender, is_known] = sender_start(sender)
%SENDER_START  Send `start` if it is due; `is_known`: the daemon can know the session.
sender.connection = sender.connection.poll(sender.connection);
is_known = ~isempty(sender.start_sent) && sender.connections == sender.connection.connections;
if is_known && toc(sender.start_sent) < 1
    return
end
[sender, is_sent] = sender_send(sender, 'start', sender.start, []);
if is_sent
    sender.start_sent = tic;
    sender.connections = sender.connection.connections;
end
is_known = is_known || is_sent;
end

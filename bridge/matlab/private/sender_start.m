function [sender, known] = sender_start(sender)
%SENDER_START  Say `start` if that is due; `known` tells whether the daemon can know it.
sender.door = sender.door.poll(sender.door);
known = ~isempty(sender.said) && sender.connections == sender.door.connections;
if known && toc(sender.said) < 1
    return
end
[sender, taken] = sender_send(sender, 'start', sender.start, []);
if taken
    sender.said = tic;
    sender.connections = sender.door.connections;
end
known = known || taken;
end

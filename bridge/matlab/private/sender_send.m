function [sender, taken] = sender_send(sender, type, fields, payload)
%SENDER_SEND  Hand one message to the door; `taken` tells whether it took it.
%   `seq` counts what left, so that a gap in it means: lost on the way.
fields.v = 1;
fields.type = type;
fields.session = sender.session;
fields.seq = int64(sender.seq);
[sender.door, taken] = sender.door.send(sender.door, jsonencode(fields), payload);
sender.seq = sender.seq + taken;
end

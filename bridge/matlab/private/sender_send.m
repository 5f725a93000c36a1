function [sender, is_sent] = sender_send(sender, type, fields, payload)
%SENDER_SEND  Pass one message to the connection; `is_sent` is false if it was dropped.
%   `seq` counts sent messages, so that a gap means a loss on the network.
fields.v = 1;
fields.type = type;
fields.session = sender.session;
fields.seq = int64(sender.seq);
[sender.connection, is_sent] = sender.connection.send(sender.connection, ...
                                                     jsonencode(fields), payload);
sender.seq = sender.seq + is_sent;
end

function sender = sender_begin(sender, start)
%SENDER_BEGIN  Begin a session; `start`: the fields of its start message, [] without one.
[sender.seq, sender.frames, sender.dropped] = deal(0);
sender.start = start;
sender.start_sent = [];
end

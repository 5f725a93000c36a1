function sender = sender_begin(sender, start)
%SENDER_BEGIN  Begin a session; `start` holds the fields of its message, [] = it has none.
[sender.seq, sender.frames, sender.dropped] = deal(0);
sender.start = start;
sender.said = [];
end

function said = tcp_said(door)
%TCP_SAID  Read what the daemon has said: a text, one character for each byte.
count = tcp_read(door);
said = char(zeros(1, count));
for k = 1:count
    said(k) = char(mod(double(door.inbox.get(int32(k - 1))), 256));
end
if count > 0
    door.inbox.clear();
end
end

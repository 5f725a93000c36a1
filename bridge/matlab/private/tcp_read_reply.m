function reply = tcp_read_reply(connection)
%TCP_READ_REPLY  Read what the daemon has sent: a text, one character per byte.
count = tcp_read(connection);
reply = char(zeros(1, count));
for k = 1:count
    reply(k) = char(mod(double(connection.inbox.get(int32(k - 1))), 256));
end
if count > 0
    connection.inbox.clear();
end
end

function sender = sender_wait(sender, seconds)
%SENDER_WAIT  Wait for the connection, at most this long.
began = tic;
sender.connection = sender.connection.poll(sender.connection);
while sender.connection.is_connecting(sender.connection) && toc(began) < seconds
    sleep_ms(2);
    sender.connection = sender.connection.poll(sender.connection);
end
end

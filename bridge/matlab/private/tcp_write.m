function connection = tcp_write(connection)
%TCP_WRITE  Write queued bytes, for at most two milliseconds.
began = tic;
while ~isempty(connection.queue)
    connection.left(1) = connection.left(1) - connection.channel.write(connection.queue{1});
    if connection.left(1) == 0
        connection.queue(1) = [];
        connection.left(1) = [];
    elseif toc(began) > 0.002
        return
    end
end
end

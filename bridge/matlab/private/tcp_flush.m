function connection = tcp_flush(connection, seconds)
%TCP_FLUSH  Wait until the daemon has acknowledged all messages, at most this long.
began = tic;
while connection.n_in_flight > 0 && toc(began) < seconds
    sleep_ms(2);
    connection.read_from = 0;
    connection = tcp_poll(connection);
end
end

function tcp_close(connection)
%TCP_CLOSE  Close the connection, if there is one.
if ~isempty(connection.channel)
    connection.channel.close();
end
end

function sender_close(sender)
%SENDER_CLOSE  Close the connection after queued messages were sent, or after a timeout.
sender.connection.close(sender.connection);
end
